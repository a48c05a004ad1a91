//! An allocator that counts the allocations and frees of each thread, for tests that the audio thread does neither.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, with a counter for each thread. A test program that counts makes it its global allocator.
pub struct CountingAllocator;

/// Counts a call of this thread.
fn count() {
    // A thread that is ending has no counter any more.
    let _ = COUNT.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call goes on to the system's allocator unchanged.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Number of allocations and frees of this thread during `work`.
///
/// # Panics
/// If [`CountingAllocator`] is not the program's allocator: otherwise the count would always be 0.
pub fn allocations(work: impl FnOnce()) -> usize {
    let before = COUNT.get();
    drop(std::hint::black_box(Box::new(0_u8)));
    let start = COUNT.get();
    assert_eq!(
        start,
        before + 2,
        "the program needs `#[global_allocator] static ALLOCATOR: CountingAllocator = CountingAllocator;`"
    );
    work();
    COUNT.get() - start
}
