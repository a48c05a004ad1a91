//! The editor's window in a CLAP host. Sizes are width and height in the pixels of the window system.

use clack_extensions::gui::{GuiApiType, GuiConfiguration, GuiSize, PluginGui, Window};

use crate::{ClapInstance, HostError};

impl ClapInstance {
    /// Calls the plug-in's extension for windows; an error if it lacks it or refuses.
    fn with_gui<R>(
        &self,
        ask: impl FnOnce(&PluginGui, &clack_host::prelude::PluginMainThreadHandle<'_>) -> Option<R>,
    ) -> Result<R, HostError> {
        self.with_handle(|handle| ask(&handle.get_extension::<PluginGui>()?, &handle)).ok_or(HostError::Extension("gui"))
    }

    /// Creates the window. It is not shown before it has a parent.
    ///
    /// # Errors
    /// If the plug-in has no windows or refuses.
    pub fn create_window(&self) -> Result<(), HostError> {
        let api_type = GuiApiType::default_for_current_platform().ok_or(HostError::Extension("gui"))?;
        self.with_gui(|gui, plugin| gui.create(plugin, GuiConfiguration { api_type, is_floating: false }).ok())
    }

    /// Sets the scale of the window: physical pixels per logical pixel.
    ///
    /// # Errors
    /// As [`Self::create_window`].
    pub fn set_window_scale(&self, scale: f64) -> Result<(), HostError> {
        self.with_gui(|gui, plugin| gui.set_scale(plugin, scale).ok())
    }

    /// Size of the window.
    ///
    /// # Errors
    /// As [`Self::create_window`].
    pub fn window_size(&self) -> Result<(u32, u32), HostError> {
        self.with_gui(|gui, plugin| gui.get_size(plugin)).map(|size| (size.width, size.height))
    }

    /// True for the directions in which the window can be resized (horizontal, vertical); None if it cannot be resized at all.
    ///
    /// # Errors
    /// As [`Self::create_window`].
    pub fn window_can_resize(&self) -> Result<Option<(bool, bool)>, HostError> {
        self.with_gui(|gui, plugin| {
            let hints = gui.get_resize_hints(plugin).filter(|_| gui.can_resize(plugin));
            Some(hints.map(|hints| (hints.can_resize_horizontally, hints.can_resize_vertically)))
        })
    }

    /// The size that the plug-in would give its window if it were asked for this one.
    ///
    /// # Errors
    /// As [`Self::create_window`].
    pub fn adjusted_window_size(&self, (width, height): (u32, u32)) -> Result<(u32, u32), HostError> {
        self.with_gui(|gui, plugin| gui.adjust_size(plugin, GuiSize { width, height })).map(|size| (size.width, size.height))
    }

    /// Resizes the window.
    ///
    /// # Errors
    /// As [`Self::create_window`].
    pub fn set_window_size(&self, (width, height): (u32, u32)) -> Result<(), HostError> {
        self.with_gui(|gui, plugin| gui.set_size(plugin, GuiSize { width, height }).ok())
    }

    /// Shows the window inside `parent`, a window of the X Window System, which has to exist until [`Self::destroy_window`].
    ///
    /// # Errors
    /// As [`Self::create_window`].
    pub fn show_window(&self, parent: u32) -> Result<(), HostError> {
        self.with_gui(|gui, plugin| {
            // SAFETY: the caller keeps the parent window until `destroy_window`.
            unsafe { gui.set_parent(plugin, Window::from_x11_handle(parent.into())) }.ok()?;
            gui.show(plugin).ok()
        })
    }

    /// Closes the window.
    ///
    /// # Errors
    /// If the plug-in has no windows.
    pub fn destroy_window(&self) -> Result<(), HostError> {
        self.with_gui(|gui, plugin| {
            gui.destroy(plugin);
            Some(())
        })
    }
}
