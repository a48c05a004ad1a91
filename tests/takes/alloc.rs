//! The recorder neither allocates nor frees memory on the audio thread.

use isotherm::record::pcm::WordFormat;
use isotherm::record::{Recorder, RecorderSettings};
use isotherm_support::counting::allocations;

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| ()), 0);
    assert_eq!(allocations(|| drop(std::hint::black_box(vec![1_u8; 64]))), 2);
}

#[test]
fn the_writer_allocates_nothing_even_when_the_ring_is_full() {
    for word_format in [WordFormat::Float, WordFormat::Int32] {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = RecorderSettings::new(folder.path().into(), "take", 48_000, 8);
        settings.word_format = word_format;
        settings.channels.retain(|channel| channel.source_channel % 2 == 0);
        settings.buffer_seconds = 0.02;
        let (recorder, mut writer) = Recorder::open(settings).unwrap();
        let (floats, integers) = (vec![0.5f32; 8 * 8192], vec![1i32; 8 * 8192]);
        let mut lost = 0;
        let counted = allocations(|| {
            for frames in [0, 1, 7, 64, 256, 8192] {
                for _ in 0..20 {
                    writer.start();
                    let float: [&[f32]; 8] = std::array::from_fn(|_| &floats[..frames]);
                    let integer: [&[i32]; 8] = std::array::from_fn(|_| &integers[..frames]);
                    lost += if word_format == WordFormat::Float {
                        writer.write(&float) + writer.write_interleaved(&floats[..8 * frames], 8)
                    } else {
                        writer.write(&integer) + writer.write_interleaved(&integers[..8 * frames], 8)
                    };
                    writer.mark();
                    if let Some(mut block) = writer.begin_block(frames) {
                        block.put(0, 0, float[0]);
                        block.commit();
                    }
                    writer.stop();
                }
            }
        });
        assert_eq!(counted, 0);
        assert!(lost > 0, "the ring was never full");
        drop(recorder);
        assert_eq!(allocations(|| lost += usize::from(writer.begin_block(64).is_none())), 0, "without a recorder");
    }
}
