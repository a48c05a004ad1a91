//! Colours, fonts and the egui style of all panels: a dark neutral ground, blue for slot A, orange for slot B.

use std::sync::Arc;

use egui::text::{LayoutJob, TextWrapping};
use egui::{
    Color32, CornerRadius, FontFamily, FontId, Galley, Id, Rect, Role, Sense, Stroke, Style, TextStyle, Theme, Ui, Vec2,
    WidgetInfo, pos2,
};

use crate::view::Slot;

/// The window behind the panels.
pub(super) const BACKGROUND: Color32 = Color32::from_rgb(0x13, 0x15, 0x18);
/// The surface of a panel or card.
pub(super) const CARD: Color32 = Color32::from_rgb(0x1c, 0x1f, 0x24);
/// A button or other control that can be pressed.
pub(super) const RAISED: Color32 = Color32::from_rgb(0x2a, 0x2e, 0x35);
/// A button or other control with the pointer over it.
pub(super) const RAISED_HOVER: Color32 = Color32::from_rgb(0x35, 0x3a, 0x43);
/// A hollow: the track of a knob, an empty meter, a text field.
pub(super) const SUNKEN: Color32 = Color32::from_rgb(0x0d, 0x0f, 0x11);
/// An outline, or the line at 0 dBFS in the meters.
pub(super) const OUTLINE: Color32 = Color32::from_rgb(0x3c, 0x42, 0x4c);
/// Text. Its contrast to [`CARD`] is 13.6 : 1 (WCAG 2.1 requires 4.5 : 1).
pub(super) const TEXT: Color32 = Color32::from_rgb(0xe7, 0xe9, 0xec);
/// Text of less importance. Its contrast to [`CARD`] is 6.5 : 1.
pub(super) const MUTED: Color32 = Color32::from_rgb(0x9a, 0xa3, 0xae);
/// Text on an accent colour.
pub(super) const TEXT_ON_ACCENT: Color32 = Color32::from_rgb(0x10, 0x12, 0x15);
/// The accent colour of slot A: blue.
pub(super) const COOL: Color32 = Color32::from_rgb(0x5c, 0xb8, 0xf2);
/// The accent colour of slot B: orange.
pub(super) const WARM: Color32 = Color32::from_rgb(0xf2, 0x9a, 0x4a);
/// The accent colour of controls that belong to neither slot, such as the X and Y buttons of a blind comparison.
pub(super) const NEUTRAL: Color32 = Color32::from_rgb(0xc9, 0xce, 0xd6);
/// Errors, clipping and the record button.
pub(super) const ALARM: Color32 = Color32::from_rgb(0xff, 0x6b, 0x61);

/// The ground of the strip of a channel that is being recorded. It is brighter than [`CARD`].
pub(super) const RECORDED: Color32 = Color32::from_rgb(0x6e, 0x2f, 0x30);

/// A lamp that says that all is well.
pub(super) const GREEN: Color32 = Color32::from_rgb(0x5f, 0xc9, 0x7a);
/// A lamp that warns.
pub(super) const YELLOW: Color32 = Color32::from_rgb(0xf0, 0xc8, 0x4b);

/// Radius of the corners of panels and buttons.
pub(super) const RADIUS: CornerRadius = CornerRadius::same(6);

/// Returns the accent colour of a slot.
pub(super) const fn accent(slot: Slot) -> Color32 {
    match slot {
        Slot::A => COOL,
        Slot::B => WARM,
    }
}

/// Returns the colour between `from` (`t` = 0) and `to` (`t` = 1).
pub(super) fn mix(from: Color32, to: Color32, t: f32) -> Color32 {
    from.lerp_to_gamma(to, t)
}

/// Returns the proportional font in a size in logical pixels.
pub(super) fn font(size: f32) -> FontId {
    FontId::new(size, FontFamily::Proportional)
}

/// Lays out one line of text in the first of `sizes` in which it fits `width`. If it fits in none of them, an ellipsis ends it.
pub(super) fn fit_text(ui: &Ui, text: &str, sizes: &[f32], color: Color32, width: f32) -> Arc<Galley> {
    let at = |size| {
        let mut job = LayoutJob::simple_singleline(text.into(), font(size), color);
        job.wrap = TextWrapping::truncate_at_width(width);
        ui.painter().layout_job(job)
    };
    let (first, rest) = sizes.split_first().expect("at least one size");
    rest.iter().fold(at(*first), |galley, size| if galley.elided { at(*size) } else { galley })
}

/// Lays out text in one line, in the first of `sizes` in which it fits the width of `space`. If it fits in none of them, it goes on
/// in as many lines of the last size as fit the height; an ellipsis ends a text that is longer still.
pub(super) fn fit_lines(ui: &Ui, text: &str, sizes: &[f32], color: Color32, space: Vec2) -> Arc<Galley> {
    let line = fit_text(ui, text, sizes, color, space.x);
    let rows = (space.y / line.size().y.max(1.0)).floor();
    if !line.elided || rows < 2.0 {
        return line;
    }
    let mut job = LayoutJob::simple(text.into(), font(*sizes.last().expect("at least one size")), color, space.x);
    job.wrap.max_rows = rows as usize;
    ui.painter().layout_job(job)
}

/// Draws a text at the left of `rect`, in more than one line if it is long and there is room. Screen readers find it as the value
/// of a status called `name`.
pub(super) fn draw_status(ui: &Ui, rect: Rect, name: &str, text: &str, color: Color32, tip: &str) {
    if !text.is_empty() {
        let galley = fit_lines(ui, text, &[12.0, 11.0, 10.0], color, rect.size());
        ui.painter().galley(pos2(rect.left(), rect.center().y - galley.size().y / 2.0), galley, color);
    }
    let response = ui.interact(rect, Id::unique(("isotherm status", name)), Sense::hover());
    response.widget_info(|| {
        let mut info = WidgetInfo::labeled(Role::Status, true, name);
        info.current_text_value = Some(text.to_owned());
        info
    });
    if !tip.is_empty() {
        response.on_hover_text(tip);
    }
}

/// Sets the style of the panels: once in the window's egui context, and always in `ui`, which may have been made before that.
pub(super) fn apply(ui: &mut Ui) {
    let applied = Id::unique("isotherm theme");
    if ui.data(|d| d.get_temp::<bool>(applied)).is_none() {
        ui.data_mut(|d| d.insert_temp(applied, true));
        ui.ctx().set_theme(Theme::Dark);
        ui.ctx().style_mut_of(Theme::Dark, change_style);
    }
    ui.set_style(ui.ctx().style_of(Theme::Dark));
}

/// Changes egui's dark style into that of the panels.
fn change_style(style: &mut Style) {
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
    visuals.window_stroke = Stroke::new(1.0, OUTLINE);
    visuals.extreme_bg_color = SUNKEN;
    visuals.faint_bg_color = CARD;
    visuals.error_fg_color = ALARM;
    visuals.selection.bg_fill = mix(BACKGROUND, COOL, 0.4);
    visuals.selection.stroke = Stroke::new(1.0, TEXT);
    visuals.menu_corner_radius = RADIUS;
    visuals.window_corner_radius = RADIUS;
    let widgets = &mut visuals.widgets;
    widgets.noninteractive.fg_stroke = Stroke::new(1.0, TEXT);
    widgets.noninteractive.bg_stroke = Stroke::new(1.0, OUTLINE);
    for (state, fill, stroke) in [
        (&mut widgets.inactive, RAISED, Stroke::NONE),
        (&mut widgets.hovered, RAISED_HOVER, Stroke::new(1.0, OUTLINE)),
        (&mut widgets.active, RAISED_HOVER, Stroke::new(1.0, NEUTRAL)),
        (&mut widgets.open, RAISED_HOVER, Stroke::new(1.0, OUTLINE)),
    ] {
        state.bg_fill = fill;
        state.weak_bg_fill = fill;
        state.bg_stroke = stroke;
        state.fg_stroke = Stroke::new(1.0, TEXT);
        state.corner_radius = CornerRadius::same(4);
        state.expansion = 0.0;
    }
}
