//! Where takes are written: real disks, and what tests put in their place.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

/// A file that is being written. [disk thread]
pub trait Medium: Write + Seek + Send {
    /// Brings what was written to the disk itself.
    ///
    /// # Errors
    /// The system's.
    fn sync(&mut self) -> io::Result<()>;

    /// Drops everything from byte `length` on and goes there.
    ///
    /// # Errors
    /// The system's.
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

impl Medium for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)?;
        self.seek(SeekFrom::Start(length)).map(|_| ())
    }
}

impl<M: Medium + ?Sized> Medium for Box<M> {
    fn sync(&mut self) -> io::Result<()> {
        (**self).sync()
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        (**self).cut(length)
    }
}

/// What makes files. [disk thread]
pub trait Disk: Send {
    /// A new file.
    ///
    /// # Errors
    /// The system's; also if there is something of that name.
    fn create(&self, path: &Path) -> io::Result<Box<dyn Medium>>;

    /// Bytes that can still be written in `folder`.
    ///
    /// # Errors
    /// The system's.
    fn available(&self, folder: &Path) -> io::Result<u64>;
}

/// The disks of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Disk for System {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Medium>> {
        Ok(Box::new(OpenOptions::new().write(true).create_new(true).open(path)?))
    }

    fn available(&self, folder: &Path) -> io::Result<u64> {
        fs4::available_space(folder)
    }
}
