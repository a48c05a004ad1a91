//! Interface to the disk that takes are written to: the system's file systems, or a test's replacement.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

/// A file that is being written. [disk thread]
pub trait WritableFile: Write + Seek + Send {
    /// Waits until everything written so far is on the disk itself, not only in the system's cache.
    ///
    /// # Errors
    /// The system's error.
    fn sync(&mut self) -> io::Result<()>;

    /// Makes the file `length` bytes long and seeks to its end.
    ///
    /// # Errors
    /// The system's error.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
}

impl WritableFile for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)?;
        self.seek(SeekFrom::Start(length)).map(|_| ())
    }
}

impl<F: WritableFile + ?Sized> WritableFile for Box<F> {
    fn sync(&mut self) -> io::Result<()> {
        (**self).sync()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        (**self).truncate(length)
    }
}

/// A file system that takes are written to. [disk thread]
pub trait FileSystem: Send {
    /// Creates a file.
    ///
    /// # Errors
    /// The system's error, also if the file exists already.
    fn create(&self, path: &Path) -> io::Result<Box<dyn WritableFile>>;

    /// Bytes that can still be written in `folder`.
    ///
    /// # Errors
    /// The system's error.
    fn available(&self, folder: &Path) -> io::Result<u64>;
}

/// The file systems of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsFileSystem;

impl FileSystem for OsFileSystem {
    fn create(&self, path: &Path) -> io::Result<Box<dyn WritableFile>> {
        Ok(Box::new(OpenOptions::new().write(true).create_new(true).open(path)?))
    }

    fn available(&self, folder: &Path) -> io::Result<u64> {
        fs4::available_space(folder)
    }
}
