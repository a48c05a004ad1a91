//! Takes.
pub mod pcm;
