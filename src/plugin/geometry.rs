//! The size of the editor's window, from one opening to the next, and the mark that hosts look for on it.

#[cfg(target_os = "linux")]
use std::error::Error;
use std::sync::{Mutex, PoisonError};

use nice_plug::editor::dpi::{LogicalSize, NativeSize, PhysicalSize};
use nice_plug_egui::baseview;

use crate::ui::{MAX_SIZE, MIN_SIZE, SIZE};

/// A state's name for the window's size, for ever.
pub const FIELD: &str = "window";

/// Width and height in logical pixels, from one opening of the window to the next and in a state; and what it has on the screen.
/// [any thread but the audio thread]
#[derive(Debug)]
pub struct Geometry(Mutex<State>);

#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    pub logical: (u32, u32),
    /// While it is open: the system's own pixels, and how many of them are a logical one.
    pub open: Option<(NativeSize<u32>, f64)>,
}

impl Default for Geometry {
    fn default() -> Self {
        Self(Mutex::new(State { logical: SIZE, open: None }))
    }
}

impl Geometry {
    pub(super) fn state(&self) -> State {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, with: impl FnOnce(&mut State)) {
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The window is there, or has another size or scale.
    pub fn is(&self, size: baseview::WindowSize) {
        let native = NativeSize::from_logical_or_physical(
            LogicalSize::new(size.logical.width, size.logical.height),
            PhysicalSize::new(size.physical.width, size.physical.height),
        );
        self.set(|state| {
            state.logical = (size.logical.width.round() as u32, size.logical.height.round() as u32);
            state.open = Some((native, size.scale_factor));
        });
    }

    /// The window is gone.
    pub fn closed(&self) {
        self.set(|state| state.open = None);
    }

    /// For a state: `900x690`.
    pub fn stored(&self) -> String {
        let (width, height) = self.state().logical;
        format!("{width}x{height}")
    }

    /// For the next opening. What is no size is left alone, one that no window may have becomes the nearest.
    pub fn restore(&self, field: &str) {
        let number = |text: &str| text.parse::<u32>().ok();
        let Some((width, height)) = field.split_once('x').and_then(|(w, h)| number(w).zip(number(h))) else { return };
        let size = (width.clamp(MIN_SIZE.0, MAX_SIZE.0), height.clamp(MIN_SIZE.1, MAX_SIZE.1));
        self.set(|state| {
            // A window that is open keeps its size.
            if state.open.is_none() {
                state.logical = size;
            }
        });
    }
}

/// Marks a window of the X Window System as one that may stand in a host's: some hosts want to know (XEmbed, version 0).
#[cfg(target_os = "linux")]
pub fn mark_embeddable(window: &impl raw_window_handle::HasWindowHandle) -> Result<(), Box<dyn Error>> {
    use raw_window_handle::RawWindowHandle;
    use x11rb::connection::Connection as _;
    use x11rb::protocol::xproto::{ConnectionExt as _, PropMode};
    use x11rb::wrapper::ConnectionExt as _;

    /// The protocol's version and its flag `XEMBED_MAPPED`.
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
    fn a_size_that_is_kept_comes_back_and_a_broken_one_changes_nothing() {
        let window = Geometry::default();
        assert_eq!(window.stored(), "900x690");
        window.restore("1200x800");
        assert_eq!(window.stored(), "1200x800");
        for broken in ["", "x", "12", "-1x800", "1200x", "axb", "1e3x1e3", "99999999999999x1"] {
            window.restore(broken);
            assert_eq!(window.stored(), "1200x800", "{broken}");
        }
        window.restore("1x4000000000");
        assert_eq!(window.stored(), format!("{}x{}", MIN_SIZE.0, MAX_SIZE.1));
    }
}
