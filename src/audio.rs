//! Typed multichannel audio with its sample rate.
