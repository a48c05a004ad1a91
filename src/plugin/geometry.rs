//! The size of the editor's window, which is kept from one opening to the next and in the state, and the mark that hosts look
//! for on a window to be embedded.

#[cfg(target_os = "linux")]
use std::error::Error;
use std::sync::{Mutex, PoisonError};

use nice_plug::editor::dpi::{LogicalSize, NativeSize, PhysicalSize};
use nice_plug_egui::baseview;

use crate::ui::{MAX_SIZE, MIN_SIZE, SIZE};

/// Name of the state's field with the window's size. Saved states hold it, so it never changes.
pub const WINDOW_FIELD: &str = "window";

/// The size of the editor's window. It outlives the window. [any thread but the audio thread]
#[derive(Debug)]
pub struct WindowGeometry(Mutex<GeometryState>);

/// The values of [`WindowGeometry`].
#[derive(Clone, Copy, Debug)]
pub(super) struct GeometryState {
    /// Width and height in logical pixels, for the next opening and for the state.
    pub logical: (u32, u32),
    /// While the window is open: its size in the pixels of the window system, and its scale (how many of them a logical one has).
    pub open: Option<(NativeSize<u32>, f64)>,
}

impl Default for WindowGeometry {
    fn default() -> Self {
        Self(Mutex::new(GeometryState { logical: SIZE, open: None }))
    }
}

impl WindowGeometry {
    /// The current values.
    pub(super) fn state(&self) -> GeometryState {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, with: impl FnOnce(&mut GeometryState)) {
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Notes the size and scale of the open window.
    pub fn update(&self, size: baseview::WindowSize) {
        let native = NativeSize::from_logical_or_physical(
            LogicalSize::new(size.logical.width, size.logical.height),
            PhysicalSize::new(size.physical.width, size.physical.height),
        );
        self.set(|state| {
            state.logical = (size.logical.width.round() as u32, size.logical.height.round() as u32);
            state.open = Some((native, size.scale_factor));
        });
    }

    /// Notes that the window is closed.
    pub fn closed(&self) {
        self.set(|state| state.open = None);
    }

    /// The text for the state: width and height in logical pixels, such as `900x726`.
    pub fn state_text(&self) -> String {
        let (width, height) = self.state().logical;
        format!("{width}x{height}")
    }

    /// Restores the size from the text of a state, for the next opening: the nearest size that a window may have. A text that
    /// is not a size changes nothing.
    pub fn restore(&self, text: &str) {
        let number = |text: &str| text.parse::<u32>().ok();
        let Some((width, height)) = text.split_once('x').and_then(|(w, h)| number(w).zip(number(h))) else { return };
        let size = (width.clamp(MIN_SIZE.0, MAX_SIZE.0), height.clamp(MIN_SIZE.1, MAX_SIZE.1));
        self.set(|state| {
            // A window that is open keeps its size.
            if state.open.is_none() {
                state.logical = size;
            }
        });
    }
}

/// Marks a window of the X Window System as one that can be embedded in another (XEmbed, version 0), which some hosts ask for.
#[cfg(target_os = "linux")]
pub fn mark_embeddable(window: &impl raw_window_handle::HasWindowHandle) -> Result<(), Box<dyn Error>> {
    use raw_window_handle::RawWindowHandle;
    use x11rb::connection::Connection as _;
    use x11rb::protocol::xproto::{ConnectionExt as _, PropMode};
    use x11rb::wrapper::ConnectionExt as _;

    /// The protocol's version, 0, and its flags: `XEMBED_MAPPED`, as the window wants to be shown.
    const INFO: [u32; 2] = [0, 1];
    let id = match window.window_handle().map_err(|e| e.to_string())?.as_raw() {
        RawWindowHandle::Xlib(handle) => u32::try_from(handle.window)?,
        RawWindowHandle::Xcb(handle) => handle.window.get(),
        _ => return Ok(()),
    };
    let (connection, _) = x11rb::connect(None)?;
    let atom = connection.intern_atom(false, b"_XEMBED_INFO")?.reply()?.atom;
    connection.change_property32(PropMode::REPLACE, id, atom, atom, &INFO)?.check()?;
    connection.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saved_size_is_restored_and_a_broken_one_changes_nothing() {
        let window = WindowGeometry::default();
        assert_eq!(window.state_text(), "900x726");
        window.restore("1200x800");
        assert_eq!(window.state_text(), "1200x800");
        for broken in ["", "x", "12", "-1x800", "1200x", "axb", "1e3x1e3", "99999999999999x1"] {
            window.restore(broken);
            assert_eq!(window.state_text(), "1200x800", "{broken}");
        }
        window.restore("1x4000000000");
        assert_eq!(window.state_text(), format!("{}x{}", MIN_SIZE.0, MAX_SIZE.1));
    }
}
