//! An allocator that counts what each thread allocates and frees, for the tests of the real-time rule.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

/// A test program that counts makes it its global allocator.
pub struct Counting;

fn count() {
    // A thread that ends has no counter any more.
    let _ = COUNT.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call goes on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
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

/// Allocations and frees of this thread during `work`.
///
/// # Panics
///
/// Where [`Counting`] is not the program's allocator: everything would allocate nothing.
pub fn allocations(work: impl FnOnce()) -> usize {
    let before = COUNT.get();
    drop(std::hint::black_box(Box::new(0_u8)));
    let begun = COUNT.get();
    assert_eq!(begun, before + 2, "the program needs `#[global_allocator] static ALLOCATOR: Counting = Counting;`");
    work();
    COUNT.get() - begun
}
