//! Colours and text sizes: a dark neutral ground, cold blue for slot A, warm orange for slot B.

use std::sync::Arc;

use egui::text::{LayoutJob, TextWrapping};
use egui::{
    Color32, CornerRadius, FontFamily, FontId, Galley, Id, Rect, Role, Sense, Stroke, Style, TextStyle, Theme, Ui, WidgetInfo,
    pos2,
};

use crate::view::Slot;

pub(super) const BACKGROUND: Color32 = Color32::from_rgb(0x13, 0x15, 0x18);
pub(super) const CARD: Color32 = Color32::from_rgb(0x1c, 0x1f, 0x24);
/// What can be pressed, at rest.
pub(super) const RAISED: Color32 = Color32::from_rgb(0x2a, 0x2e, 0x35);
pub(super) const RAISED_HOVER: Color32 = Color32::from_rgb(0x35, 0x3a, 0x43);
/// Tracks of knobs, empty meters, text fields.
pub(super) const SUNKEN: Color32 = Color32::from_rgb(0x0d, 0x0f, 0x11);
pub(super) const LINE: Color32 = Color32::from_rgb(0x3c, 0x42, 0x4c);
/// Contrast to [`CARD`] 13.6 : 1 (WCAG 2.1 asks for 4.5).
pub(super) const TEXT: Color32 = Color32::from_rgb(0xe7, 0xe9, 0xec);
/// Contrast to [`CARD`] 6.5 : 1.
pub(super) const MUTED: Color32 = Color32::from_rgb(0x9a, 0xa3, 0xae);
/// Text on an accent.
pub(super) const INK: Color32 = Color32::from_rgb(0x10, 0x12, 0x15);
pub(super) const COOL: Color32 = Color32::from_rgb(0x5c, 0xb8, 0xf2);
pub(super) const WARM: Color32 = Color32::from_rgb(0xf2, 0x9a, 0x4a);
/// Neither slot: on in general, and both buttons of a blind comparison.
pub(super) const NEUTRAL: Color32 = Color32::from_rgb(0xc9, 0xce, 0xd6);
pub(super) const ALARM: Color32 = Color32::from_rgb(0xff, 0x6b, 0x61);

/// All is well, and look at it: of lamps.
pub(super) const GREEN: Color32 = Color32::from_rgb(0x5f, 0xc9, 0x7a);
pub(super) const YELLOW: Color32 = Color32::from_rgb(0xf0, 0xc8, 0x4b);

pub(super) const RADIUS: CornerRadius = CornerRadius::same(6);

pub(super) const fn accent(slot: Slot) -> Color32 {
    match slot {
        Slot::A => COOL,
        Slot::B => WARM,
    }
}

/// `t` from 0 (`from`) to 1 (`to`).
pub(super) fn mix(from: Color32, to: Color32, t: f32) -> Color32 {
    from.lerp_to_gamma(to, t)
}

pub(super) fn font(size: f32) -> FontId {
    FontId::new(size, FontFamily::Proportional)
}

/// One line of text in the first of `sizes` that fits `width`; cut short if none does.
pub(super) fn line(ui: &Ui, text: &str, sizes: &[f32], color: Color32, width: f32) -> Arc<Galley> {
    let at = |size| {
        let mut job = LayoutJob::simple_singleline(text.into(), font(size), color);
        job.wrap = TextWrapping::truncate_at_width(width);
        ui.painter().layout_job(job)
    };
    let (first, rest) = sizes.split_first().expect("a size");
    rest.iter().fold(at(*first), |galley, size| if galley.elided { at(*size) } else { galley })
}

/// A line of text with a name, cut to its place.
pub(super) fn said(ui: &Ui, rect: Rect, name: &str, text: &str, color: Color32, tip: &str) {
    if !text.is_empty() {
        let galley = line(ui, text, &[12.0, 11.0, 10.0], color, rect.width());
        ui.painter().galley(pos2(rect.left(), rect.center().y - galley.size().y / 2.0), galley, color);
    }
    let response = ui.interact(rect, Id::unique(("isotherm said", name)), Sense::hover());
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(Role::Status, true, name);
        info.current_text_value = Some(text.to_owned());
        info
    });
    if !tip.is_empty() {
        response.on_hover_text(tip);
    }
}

/// Gives the window's context this style, once, and `ui` in any case (it took its style before).
pub(super) fn apply(ui: &mut Ui) {
    let mark = Id::unique("isotherm theme");
    if ui.data(|d| d.get_temp::<bool>(mark)).is_none() {
        ui.data_mut(|d| d.insert_temp(mark, true));
        ui.ctx().set_theme(Theme::Dark);
        ui.ctx().style_mut_of(Theme::Dark, restyle);
    }
    ui.set_style(ui.ctx().style_of(Theme::Dark));
}

fn restyle(style: &mut Style) {
    for (text, size) in [
        (TextStyle::Small, 11.0),
        (TextStyle::Body, 13.0),
        (TextStyle::Button, 13.0),
        (TextStyle::Monospace, 12.0),
        (TextStyle::Heading, 20.0),
    ] {
        let family = if text == TextStyle::Monospace { FontFamily::Monospace } else { FontFamily::Proportional };
        style.text_styles.insert(text, FontId::new(size, family));
    }
    style.spacing.tooltip_width = 280.0;
    let visuals = &mut style.visuals;
    visuals.panel_fill = BACKGROUND;
    visuals.window_fill = RAISED;
    visuals.window_stroke = Stroke::new(1.0, LINE);
    visuals.extreme_bg_color = SUNKEN;
    visuals.faint_bg_color = CARD;
    visuals.error_fg_color = ALARM;
    visuals.selection.bg_fill = mix(BACKGROUND, COOL, 0.4);
    visuals.selection.stroke = Stroke::new(1.0, TEXT);
    visuals.menu_corner_radius = RADIUS;
    visuals.window_corner_radius = RADIUS;
    let widgets = &mut visuals.widgets;
    widgets.noninteractive.fg_stroke = Stroke::new(1.0, TEXT);
    widgets.noninteractive.bg_stroke = Stroke::new(1.0, LINE);
    for (state, fill, stroke) in [
        (&mut widgets.inactive, RAISED, Stroke::NONE),
        (&mut widgets.hovered, RAISED_HOVER, Stroke::new(1.0, LINE)),
        (&mut widgets.active, RAISED_HOVER, Stroke::new(1.0, NEUTRAL)),
        (&mut widgets.open, RAISED_HOVER, Stroke::new(1.0, LINE)),
    ] {
        state.bg_fill = fill;
        state.weak_bg_fill = fill;
        state.bg_stroke = stroke;
        state.fg_stroke = Stroke::new(1.0, TEXT);
        state.corner_radius = CornerRadius::same(4);
        state.expansion = 0.0;
    }
}
