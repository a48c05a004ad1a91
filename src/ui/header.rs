//! The top of the window: what is heard, and what holds for both slots.

use egui::{Align, Color32, Id, Rect, Role, Sense, Ui, WidgetInfo, pos2, text::LayoutJob, text::TextFormat, vec2};

use super::{Editor, choice, choice::Face, theme};
use crate::view::{BlindView, Control, Controls, Slot, Snapshot};

pub(super) const HEIGHT: f32 = 44.0;
/// Width from which the buttons are large and carry the algorithms' names.
const ROOMY: f32 = 780.0;
/// Load from which a dropout is near: a host needs the rest for itself and for other plug-ins.
const HIGH_LOAD: f32 = 0.8;

impl Editor {
    pub(super) fn header(&mut self, ui: &mut Ui, rect: Rect, controls: &dyn Controls, snapshot: &Snapshot, hidden: bool) {
        let roomy = rect.width() >= ROOMY;
        let mut x = rect.left();
        let mut place = |width: f32, height: f32, gap: f32| {
            let place = Rect::from_min_size(pos2(x, rect.center().y - height / 2.0), vec2(width, height));
            x += width + gap;
            place
        };

        wordmark(ui, place(104.0, 32.0, 8.0));

        let listen = if roomy { vec2(104.0, 42.0) } else { vec2(62.0, 42.0) };
        let heard = if hidden { None } else { Some(self.hands.watch(controls, Control::Listen) >= 0.5) };
        let heard = heard.map(|b| if b { Slot::B } else { Slot::A });
        for side in [0_u8, 1] {
            let letter = ["X", "Y"][usize::from(side)];
            let slot = match snapshot.blind {
                BlindView::Revealed { left } if side == 0 => left,
                BlindView::Revealed { left } => left.other(),
                _ => Slot::ALL[usize::from(side)],
            };
            let name = if roomy && !hidden { self.algorithm(controls, slot) } else { None };
            let below = name.map_or("", |a| self.registry[a].name);
            let (text, label) = match snapshot.blind {
                _ if hidden => (letter.into(), format!("Listen {letter}")),
                BlindView::Revealed { .. } => {
                    (format!("{letter} = {}", slot.name()), format!("Listen {letter}, {}", slot.name()))
                }
                _ => (slot.name().into(), format!("Listen {}", slot.name())),
            };
            // While hidden the face shows what was pressed and nothing that depends on the slot.
            let down = if hidden { self.pressed == Some(side) } else { heard == Some(slot) };
            let face = Face {
                label: &label,
                text: &text,
                below,
                size: if below.is_empty() { 18.0 } else { 16.0 },
                down: Some(down),
                accent: if hidden { theme::NEUTRAL } else { theme::accent(slot) },
                ..Face::default()
            };
            let gap = if side == 0 { 4.0 } else { 14.0 };
            let response = choice::button(ui, place(listen.x, listen.y, gap), Id::unique(("isotherm listen", side)), &face);
            if response.clicked() {
                self.hands.let_go(controls);
                self.pressed = hidden.then_some(side);
                controls.press_listen(side);
                self.hands.busy = true;
            }
        }

        let blind = choice::toggle(ui, &mut self.hands, controls, place(56.0, 28.0, 4.0), Control::Blind, "Blind");
        blind.on_hover_text("Hides which slot is heard: X and Y are A and B in an order that you do not know");
        let face = Face { label: "Reveal", text: "Reveal", enabled: hidden, ..Face::default() };
        let reveal = choice::button(ui, place(60.0, 28.0, 14.0), Id::unique("isotherm reveal"), &face);
        if reveal.clicked() {
            controls.reveal();
            self.hands.busy = true;
        }
        reveal.on_hover_text("Shows which slot was X and which was Y");
        let bypass = choice::toggle(ui, &mut self.hands, controls, place(66.0, 28.0, 14.0), Control::Bypass, "Bypass");
        bypass.on_hover_text("The input, delayed like the effect");

        let facts = Rect::from_min_max(pos2(x, rect.top()), rect.max);
        let (upper, lower) = facts.split_top_bottom_at_y(facts.center().y);
        fact(
            ui,
            upper.translate(vec2(0.0, 3.0)),
            "latency",
            &latency(snapshot),
            theme::MUTED,
            "Samples by which the output lags the input",
        );
        if !hidden {
            let color = if snapshot.load > HIGH_LOAD { theme::ALARM } else { theme::MUTED };
            let tip = "Share of real time that both slots need";
            fact(ui, lower.translate(vec2(0.0, -3.0)), "load", &load(snapshot.load), color, tip);
        }
    }
}

fn latency(snapshot: &Snapshot) -> String {
    let frames = snapshot.latency_frames;
    let unit = if frames == 1 { "sample" } else { "samples" };
    if snapshot.sample_rate.is_finite() && snapshot.sample_rate > 0.0 {
        format!("Latency {frames} {unit}, {:.2} ms", 1000.0 * frames as f32 / snapshot.sample_rate)
    } else {
        format!("Latency {frames} {unit}")
    }
}

pub(super) fn load(load: f32) -> String {
    if load.is_finite() { format!("Load {:.0} %", 100.0 * load.clamp(0.0, 9.99)) } else { "Load unknown".into() }
}

/// A line of text on the right.
fn fact(ui: &Ui, rect: Rect, id: &str, text: &str, color: Color32, tip: &str) {
    let galley = theme::line(ui, text, &[12.0, 11.0, 10.0], color, rect.width());
    let at = pos2(rect.right() - galley.size().x, rect.center().y - galley.size().y / 2.0);
    let rect = Rect::from_min_size(at, galley.size());
    ui.painter().galley(at, galley, color);
    let response = ui.interact(rect, Id::unique(("isotherm fact", id)), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, text));
    response.on_hover_text(format!("{text}\n{tip}"));
}

/// The name, from cold to warm.
fn wordmark(ui: &Ui, rect: Rect) {
    const NAME: &str = "Isotherm";
    let mut job = LayoutJob::default();
    for (i, letter) in NAME.chars().enumerate() {
        let t = i as f32 / (NAME.len() - 1) as f32;
        // By way of the text's colour: blue and orange mixed directly are a dull grey.
        let color = if t < 0.5 {
            theme::mix(theme::COOL, theme::TEXT, 2.0 * t)
        } else {
            theme::mix(theme::TEXT, theme::WARM, 2.0 * t - 1.0)
        };
        let format = TextFormat { font_id: theme::font(22.0), color, valign: Align::Center, ..TextFormat::default() };
        job.append(letter.encode_utf8(&mut [0; 4]), 0.0, format);
    }
    let galley = ui.painter().layout_job(job);
    ui.painter().galley(pos2(rect.left(), rect.center().y - galley.size().y / 2.0), galley, theme::TEXT);
    let response = ui.interact(rect, Id::unique("isotherm name"), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, NAME));
}
