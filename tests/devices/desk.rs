//! Tests of the desk: what is read from it, which tracks have notes, and that nothing is ever set.

use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use isotherm::desk::osc::{Message, Value, decode, encode, meters};
use isotherm::desk::values::{Input, Signal};
use isotherm::desk::{
    Desk, DeskError, DeskWatch, FakeDesk, Fault, Mismatch, Timeouts, Track, TrackContent, discover_at, only_desk,
};
use isotherm::source::{SourceChange, check_name};
use proptest::prelude::*;

/// Short enough for tests, long enough for a busy machine.
const TIMEOUTS: Timeouts = Timeouts {
    first_answer: Duration::from_millis(100),
    tries: 4,
    reading: Duration::from_secs(20),
    xremote_interval: Duration::from_millis(300),
    ping_interval: Duration::from_millis(100),
    lost_after: Duration::from_secs(1),
};
/// Longest time that a test waits for something to happen.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

fn fake(fault: Fault) -> FakeDesk {
    FakeDesk::start("127.0.0.1:0", fault).unwrap()
}

fn open(fake: &FakeDesk) -> Desk {
    Desk::open_with(fake.address(), TIMEOUTS).unwrap()
}

fn track(desk: &Desk, number: usize) -> Track {
    desk.tracks().swap_remove(number - 1)
}

/// Returns the note on a track; empty if there is none.
fn note(desk: &Desk, number: usize) -> String {
    track(desk, number).note.unwrap_or_default()
}

/// Returns the text of an error, which must be one line.
fn line(error: &impl std::fmt::Display) -> String {
    let text = error.to_string();
    assert!(!text.is_empty() && !text.contains('\n') && text.len() < 300, "{text}");
    text
}

/// Waits until a condition is true.
fn wait_until(mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + LONGEST_WAIT;
    while !condition() {
        assert!(Instant::now() < end, "the condition stays false");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_strip_has_the_name_colour_and_note_of_its_track() {
    let fake = fake(Fault::None);
    for (channel, value) in (1..=16).zip(0..) {
        fake.set(&format!("/ch/{channel:02}/config/color"), Value::Int(value));
    }
    let strips = open(&fake).strips();
    assert_eq!(strips.len(), 32);
    // Off, red, green, yellow, blue, magenta, cyan, white.
    let full = u8::MAX;
    let colours = [
        [0, 0, 0],
        [full, 0, 0],
        [0, full, 0],
        [full, full, 0],
        [0, 0, full],
        [full, 0, full],
        [0, full, full],
        [full, full, full],
    ];
    for (i, strip) in strips[..16].iter().enumerate() {
        assert_eq!((strip.colour, strip.is_inverted, strip.note.as_ref()), (Some(colours[i % 8]), i >= 8, None));
    }
    assert_eq!((strips[0].name.as_str(), strips[24].name.as_str()), ("Kick", "Ch 25"));
    assert_eq!((strips[30].name.as_str(), strips[30].note.as_deref()), ("Main L", Some("carries Main L")));
    fake.set("/config/routing/CARD/1-8", Value::Int(99));
    let unknown = open(&fake).strips().swap_remove(0);
    assert_eq!((unknown.name.as_str(), unknown.colour), ("Track 01", None));
    assert!(unknown.note.is_some());
}

#[test]
fn every_track_is_traced_to_its_channel() {
    let fake = fake(Fault::None);
    let desk = open(&fake);
    assert_eq!((desk.model(), desk.firmware(), desk.name()), ("X32".into(), "4.06".into(), "Fake desk".into()));
    for track in &desk.tracks()[..30] {
        assert_eq!(track.content, TrackContent::Channel(track.number as u8));
        assert_eq!(track.note, None, "{track:?}");
        assert_eq!(track.source, format!("User Out {} > Local {}", track.number, track.number));
    }
    let kick = track(&desk, 1);
    assert_eq!((kick.name.as_str(), kick.colour.unwrap().to_string().as_str(), kick.icon), ("Kick", "red", Some(1)));
    assert_eq!(track(&desk, 12).colour.unwrap().to_string(), "blue inverted");
    assert_eq!(track(&desk, 25).label(), "Ch 25");
    assert_eq!((desk.clock_rate_hz(), desk.usb_channels(), desk.card_type()), (Some(48_000), Some((32, 32)), "X-USB".into()));
}

#[test]
fn a_track_that_carries_an_output_has_a_note() {
    let fake = fake(Fault::None);
    fake.set("/config/userrout/out/05", Value::Int(171));
    fake.set("/config/userrout/out/06", Value::Int(207));
    fake.set("/outputs/main/04/src", Value::Int(26 + 6));
    fake.set("/config/userrout/out/07", Value::Int(172));
    fake.set("/main/st/config/name", Value::Text("PA".into()));
    let desk = open(&fake);
    assert!(desk.notes().contains(&"track 31 carries Main L".to_string()), "{:?}", desk.notes());
    assert_eq!((track(&desk, 31).content, track(&desk, 31).label()), (TrackContent::Output(Signal::MainL), "PA L".into()));
    assert_eq!((track(&desk, 32).content, note(&desk, 32)), (TrackContent::Output(Signal::MainR), "carries Main R".into()));
    assert_eq!((track(&desk, 5).label(), note(&desk, 5)), ("Mon Bea".into(), "carries Bus 1".into()));
    assert_eq!((track(&desk, 6).label(), note(&desk, 6)), ("Monitor L".into(), "carries Monitor L".into()));
    assert_eq!((track(&desk, 7).label(), note(&desk, 7)), ("Floor".into(), "carries Direct Out Ch 7".into()));
}

#[test]
fn a_source_is_traced_through_user_routing_and_blocks_on_both_sides() {
    let fake = fake(Fault::None);
    // Tracks 1 to 8 are User In 9 to 16, of which 9 is AES50-B 3. Channel 20 takes it through User In 20.
    fake.set("/config/routing/CARD/1-8", Value::Int(33));
    fake.set("/config/userrout/in/09", Value::Int(83));
    fake.set("/config/routing/IN/17-24", Value::Int(22));
    fake.set("/config/userrout/in/20", Value::Int(83));
    let desk = open(&fake);
    let first = track(&desk, 1);
    assert_eq!((first.content, first.source.as_str()), (TrackContent::Channel(20), "User In 9 > AES50-B 3"));
    assert_eq!((first.name.as_str(), first.note.as_deref()), ("Vox: Bea", Some("carries channel 20")));
}

#[test]
fn a_channel_is_found_by_its_input_and_not_by_its_number() {
    let fake = fake(Fault::None);
    fake.set("/ch/01/config/source", Value::Int(2));
    fake.set("/ch/02/config/source", Value::Int(1));
    fake.set("/ch/03/config/source", Value::Int(4));
    fake.set("/auxin/01/config/source", Value::Int(3));
    fake.set("/auxin/01/config/name", Value::Text("Spare".into()));
    fake.set("/ch/05/config/source", Value::Int(0));
    let desk = open(&fake);
    assert_eq!((track(&desk, 1).name, note(&desk, 1)), ("Snare".into(), "carries channel 2".into()));
    assert_eq!((track(&desk, 2).name, note(&desk, 2)), ("Kick".into(), "carries channel 1".into()));
    assert_eq!((track(&desk, 3).name, note(&desk, 3)), ("Spare".into(), "carries aux channel 1".into()));
    // Channels 3 and 4 have the same input. The channel with the track's number comes first.
    assert_eq!((track(&desk, 4).name, note(&desk, 4)), ("Hat".into(), String::new()));
    assert_eq!(track(&desk, 5).content, TrackContent::Input(Input::Local(5)));
    assert_eq!((track(&desk, 5).label(), note(&desk, 5)), ("Local 5".into(), "carries Local 5, which no channel hears".into()));
}

#[test]
fn aux_inputs_playback_and_unrouted_tracks_are_distinguished() {
    let fake = fake(Fault::None);
    fake.set("/config/userrout/out/01", Value::Int(0));
    fake.set("/config/userrout/out/02", Value::Int(130));
    fake.set("/config/userrout/out/03", Value::Int(166));
    fake.set("/config/userrout/out/04", Value::Int(34));
    // Aux inputs 1 to 4 are AES50-A 1 to 4.
    fake.set("/config/routing/IN/AUX", Value::Int(5));
    let desk = open(&fake);
    assert_eq!((track(&desk, 1).content, note(&desk, 1)), (TrackContent::Nothing, "carries nothing".into()));
    assert_eq!(note(&desk, 2), "carries Card 2, which no channel hears; is what the computer plays");
    assert_eq!(track(&desk, 3).content, TrackContent::AuxChannel(6));
    assert_eq!(track(&desk, 4).content, TrackContent::AuxChannel(2));
    fake.set("/config/routing/routswitch", Value::Int(1));
    let desk = open(&fake);
    assert!(desk.is_in_playback() && desk.notes().iter().any(|n| n.contains("PLAY")));
    assert_eq!(track(&desk, 2).content, TrackContent::Channel(2));
    assert_eq!(track(&desk, 5).content, TrackContent::Input(Input::Local(5)));
}

#[test]
fn answers_that_are_late_truncated_wrong_or_invalid_change_nothing() {
    let plain = open(&fake(Fault::None));
    for fault in [Fault::Late(Duration::from_millis(150)), Fault::Half, Fault::Garbage, Fault::Stranger] {
        let desk = open(&fake(fault));
        assert_eq!((desk.tracks(), desk.notes(), desk.name()), (plain.tracks(), plain.notes(), plain.name()), "{fault:?}");
    }
}

#[test]
fn a_desk_with_truncated_or_late_answers_is_read_completely_within_the_timeouts() {
    for fault in [Fault::Half, Fault::Late(Duration::from_millis(250)), Fault::Late(Duration::from_millis(1000))] {
        let fake = fake(fault);
        let desk = Desk::open(&fake.address().to_string()).unwrap();
        let left = desk.notes().into_iter().find(|note| note.contains("without an answer"));
        assert_eq!(left, None, "{fault:?}");
    }
    // With a shorter timeout, questions stay unanswered.
    let fake = fake(Fault::Late(Duration::from_millis(300)));
    let desk = Desk::open_with(fake.address(), Timeouts { reading: Duration::from_millis(400), ..TIMEOUTS }).unwrap();
    assert!(desk.notes().iter().any(|note| note.contains("without an answer")), "{:?}", desk.notes());
}

#[test]
fn a_desk_that_does_not_answer_is_a_one_line_error() {
    let timeouts = Timeouts { first_answer: Duration::from_millis(30), tries: 2, ..TIMEOUTS };
    let error = |fault| line(&Desk::open_with(fake(fault).address(), timeouts).unwrap_err());
    assert!(error(Fault::Silent).ends_with("gave no answer in 0.1 s"), "{}", error(Fault::Silent));
    assert!(error(Fault::OnlyGarbage).contains("packets came that are no answers"), "{}", error(Fault::OnlyGarbage));
    assert!(error(Fault::Dies(100)).contains("fell silent: no answer in 0.1 s"), "{}", error(Fault::Dies(100)));
    let unused = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = line(&Desk::open_with(unused, timeouts).unwrap_err());
    assert!(error.contains("nothing listens there"), "{error}");
    for address in ["", "no such desk", "1.2.3.4:port", "\u{1b}[2J"] {
        assert!(matches!(Desk::open(address), Err(e @ DeskError::Address { .. }) if line(&e).starts_with("desk ")), "{address}");
    }
}

#[test]
fn another_model_is_refused_by_its_name() {
    let fake = fake(Fault::None);
    for model in ["XR18", "WING", ""] {
        fake.set_model(model, "1.17");
        let error = Desk::open_with(fake.address(), TIMEOUTS).unwrap_err();
        assert!(line(&error).ends_with(&format!("is '{model}'; expected an X32 or M32")), "{error}");
    }
}

#[test]
fn inputs_that_a_smaller_model_lacks_have_a_note() {
    let fake = fake(Fault::None);
    fake.set_model("M32R", "4.06");
    let desk = open(&fake);
    assert_eq!(note(&desk, 16), "");
    assert_eq!(note(&desk, 17), "this M32R has 16 local inputs");
}

#[test]
fn unknown_values_have_a_note_with_their_number() {
    let fake = fake(Fault::None);
    fake.set_model("X32", "next");
    fake.set("/config/routing/CARD/1-8", Value::Int(37));
    fake.set("/config/routing/CARD/9-16", Value::Int(-1));
    fake.set("/config/userrout/out/17", Value::Int(i32::MAX));
    fake.set("/outputs/main/01/src", Value::Int(999));
    fake.set("/ch/20/config/color", Value::Int(16));
    fake.set("/-prefs/clockrate", Value::Int(2));
    fake.set("/-prefs/card/USBmode", Value::Int(6));
    fake.set("/-stat/xcardtype", Value::Int(99));
    let desk = open(&fake);
    assert_eq!((track(&desk, 1).source.as_str(), track(&desk, 1).content), ("unknown (value 37)", TrackContent::Unknown));
    assert_eq!((track(&desk, 9).source.as_str(), note(&desk, 9)), ("unknown (value -1)", "source is unknown".into()));
    assert_eq!(track(&desk, 17).source, "User Out 17 > unknown (value 2147483647)");
    assert_eq!((track(&desk, 31).label(), note(&desk, 31)), ("Track 31".into(), "carries unknown (value 999)".into()));
    assert_eq!(track(&desk, 20).colour, None);
    assert_eq!((desk.clock_rate_hz(), desk.usb_channels(), desk.card_type()), (None, None, "unknown (value 99)".into()));
    assert_eq!(desk.check_device(96_000, 5), Ok(()));
    assert!(desk.notes().iter().any(|n| n.contains("clock rate is unknown (value 2")), "{:?}", desk.notes());
}

#[test]
fn unanswered_questions_are_named_and_the_rest_is_read() {
    let fake = fake(Fault::None);
    fake.forget("/config/routing/CARD/9-16");
    fake.forget("/ch/01/config/name");
    fake.forget("/config/userrout/out/02");
    let desk = Desk::open_with(fake.address(), Timeouts { tries: 2, ..TIMEOUTS }).unwrap();
    assert_eq!(note(&desk, 9), "the desk did not answer /config/routing/CARD/9-16");
    assert_eq!((track(&desk, 2).source.as_str(), track(&desk, 2).label()), ("User Out 2 > unknown", "Track 02".into()));
    assert_eq!((track(&desk, 1).content, track(&desk, 1).label()), (TrackContent::Channel(1), "Ch 01".into()));
    assert!(desk.notes().last().unwrap().starts_with("the desk left 3 questions without an answer: /"), "{:?}", desk.notes());
}

#[test]
fn older_firmware_is_not_asked_for_user_routing() {
    let fake = fake(Fault::None);
    fake.set_model("X32RACK", "3.04");
    for row in 1..=48 {
        fake.forget(&format!("/config/userrout/in/{row:02}"));
        fake.forget(&format!("/config/userrout/out/{row:02}"));
    }
    for (block, value) in [("1-8", 0), ("9-16", 1), ("17-24", 4), ("25-32", 20)] {
        fake.set(&format!("/config/routing/CARD/{block}"), Value::Int(value));
    }
    let desk = open(&fake);
    assert!(!desk.notes().iter().any(|n| n.contains("without an answer")), "{:?}", desk.notes());
    assert_eq!((note(&desk, 16), note(&desk, 25)), (String::new(), "carries Main L".into()));
    assert_eq!(note(&desk, 17), "carries AES50-A 1, which no channel hears");
}

#[test]
fn a_difference_between_device_and_desk_names_both() {
    let fake = fake(Fault::None);
    let desk = open(&fake);
    assert_eq!(desk.check_device(48_000, 32), Ok(()));
    let rate = desk.check_device(44_100, 32).unwrap_err();
    assert_eq!(rate, Mismatch::Rate { desk_hz: 48_000, device_hz: 44_100 });
    assert_eq!(line(&rate), "the desk runs at 48000 Hz, the device at 44100 Hz");
    fake.set("/-prefs/card/USBmode", Value::Int(2));
    assert_eq!(open(&fake).check_device(48_000, 32), Ok(()));
    fake.set("/-prefs/card/USBmode", Value::Int(1));
    fake.set("/-prefs/clockrate", Value::Int(1));
    let desk = open(&fake);
    let channels = desk.check_device(44_100, 32).unwrap_err();
    assert_eq!(line(&channels), "the desk sends 16 channels (USB mode 16/16), the device has 32");
    assert_eq!(note(&desk, 16), "");
    assert_eq!(note(&desk, 17), "is not sent in USB mode 16/16");
    // A Dante card has no USB mode to compare.
    fake.set("/-stat/xcardtype", Value::Int(7));
    let desk = open(&fake);
    assert_eq!((desk.check_device(44_100, 32), desk.usb_channels()), (Ok(()), None));
    assert!(desk.notes().contains(&"the card is Dante, so channels are not compared".to_string()));
}

#[test]
fn stem_names_are_valid_and_unique_as_file_names() {
    let fake = fake(Fault::None);
    fake.set("/ch/02/config/name", Value::Text("  ...  ".into()));
    fake.set("/ch/03/config/name", Value::Text("a\\b/c:d*e?".into()));
    fake.set("/ch/04/config/name", Value::Text("ü".repeat(200)));
    fake.set("/ch/06/config/name", Value::Text("Horn part 2".into()));
    fake.set("/ch/10/config/name", Value::Text("oh".into()));
    fake.set("/ch/11/config/name", Value::Text("tab\there\n".into()));
    let desk = open(&fake);
    let channels: Vec<usize> = (1..=32).chain([40, 1]).collect();
    let names = desk.stem_names(&channels);
    assert_eq!(names.len(), channels.len());
    for name in &names {
        check_name("name", name).unwrap();
    }
    let mut folded: Vec<String> = names.iter().map(|n| n.to_lowercase()).collect();
    folded.sort();
    folded.dedup();
    assert_eq!(folded.len(), names.len(), "{names:?}");
    assert_eq!((names[0].as_str(), names[1].as_str(), names[2].as_str()), ("Kick", "Track 02", "a-b-c-d-e-"));
    // A file called "Horn part 2" would be taken for the second part of "Horn".
    assert_eq!(names[5], "Horn part-2");
    assert_eq!((names[7].as_str(), names[8].as_str(), names[9].as_str()), ("OH", "OH (2)", "oh (3)"));
    assert_eq!((names[10].as_str(), names[12].as_str(), names[19].as_str()), ("tabhere", "Gtr-DI", "Vox- Bea"));
    assert_eq!((names[30].as_str(), names[32].as_str(), names[33].as_str()), ("Main L", "Track 40", "Kick (2)"));
}

#[test]
fn a_watch_follows_changes_without_setting_anything() {
    let fake = fake(Fault::None);
    let desk = open(&fake);
    fake.set("/ch/03/config/name", Value::Text("Before".into()));
    let watch = DeskWatch::start(desk, TIMEOUTS).unwrap();
    wait_until(|| track(&watch.desk(), 3).name == "Before");
    wait_until(|| fake.renewals() >= 2);
    assert!(watch.status().connected);
    let before = watch.status().changes;
    fake.set("/ch/01/config/name", Value::Text("Boom".into()));
    wait_until(|| track(&watch.desk(), 1).name == "Boom");
    fake.set("/config/userrout/out/31", Value::Int(31));
    wait_until(|| note(&watch.desk(), 31).is_empty());
    assert!(watch.status().changes >= before + 2);
    assert!(watch.desk().channel_levels(TIMEOUTS).is_some());
    assert!(!discover_at(&[fake.address()], TIMEOUTS.first_answer).unwrap().is_empty());
    assert_eq!(fake.writes(), 0);
    // A message that sets a value is counted.
    let setter = UdpSocket::bind("127.0.0.1:0").unwrap();
    let set = Message { address: "/ch/01/mix/fader".into(), values: vec![Value::Float(1.0)] };
    setter.send_to(&encode(&set), fake.address()).unwrap();
    wait_until(|| fake.writes() == 1);
}

#[test]
fn a_watch_returns_the_changes_of_each_track_with_their_time() {
    let fake = fake(Fault::None);
    // Long enough that a busy machine does not lose the desk.
    let timeouts = Timeouts { lost_after: Duration::from_secs(4), ..TIMEOUTS };
    let watch = DeskWatch::start(open(&fake), timeouts).unwrap();
    // The first reading, and answers that are the same as before, are not changes.
    wait_until(|| fake.renewals() >= 3);
    assert_eq!(watch.changes(), []);
    let next = || {
        let mut changes = Vec::new();
        wait_until(|| {
            changes = watch.changes();
            !changes.is_empty()
        });
        changes
    };
    let parts = |change: &SourceChange| (change.source_channel, change.what, change.from.clone(), change.to.clone());
    let some = |text: &str| Some(text.to_string());
    let before = Instant::now();
    // AES50-A 1-8 in place of User Out 1-8.
    fake.set("/config/routing/CARD/1-8", Value::Int(4));
    let changes = next();
    let after = Instant::now();
    let sources: Vec<_> = changes.iter().filter(|change| change.what == "source").map(parts).collect();
    let expected = |n: usize| (n - 1, "source", Some(format!("User Out {n} > Local {n}")), Some(format!("AES50-A {n}")));
    assert_eq!(sources, (1..=8).map(expected).collect::<Vec<_>>());
    assert!(changes.iter().all(|change| (before..=after).contains(&change.at) && change.since.is_none()));
    // No channel uses these inputs.
    assert!(changes.iter().map(parts).any(|parts| parts == (0, "note", None, some("carries AES50-A 1, which no channel hears"))));
    assert!(changes.iter().map(parts).any(|parts| parts == (0, "name", some("Kick"), some("AES50-A 1"))));
    fake.set("/ch/10/config/color", Value::Int(1));
    assert_eq!(next().iter().map(parts).collect::<Vec<_>>(), [(9, "colour", some("green inverted"), some("red"))]);
    fake.set("/ch/10/config/name", Value::Text("Bell".into()));
    assert_eq!(next().iter().map(parts).collect::<Vec<_>>(), [(9, "name", some("Ride"), some("Bell"))]);
    // The source of an output that a track carries.
    fake.set("/outputs/main/01/src", Value::Int(4));
    assert!(next().iter().map(parts).any(|parts| parts == (30, "note", some("carries Main L"), some("carries Bus 1"))));
    // A change while the desk is lost happened between its last message and the next reading.
    let known = Instant::now();
    fake.set_fault(Fault::Silent);
    wait_until(|| !watch.status().connected);
    let lost = Instant::now();
    fake.set("/ch/10/config/name", Value::Text("Gong".into()));
    fake.set_fault(Fault::None);
    let changes = next();
    assert_eq!(changes.iter().map(parts).collect::<Vec<_>>(), [(9, "name", some("Bell"), some("Gong"))]);
    assert!(changes[0].since.is_some_and(|since| since < lost) && changes[0].at > lost && known < lost);
}

#[test]
fn a_watch_notices_a_loss_and_reads_everything_again_when_the_desk_is_back() {
    let fake = fake(Fault::None);
    let watch = DeskWatch::start(open(&fake), TIMEOUTS).unwrap();
    fake.set_fault(Fault::Silent);
    wait_until(|| !watch.status().connected);
    assert!(watch.status().last_seen >= TIMEOUTS.lost_after);
    assert_eq!((watch.status().losses, track(&watch.desk(), 2).name), (1, "Snare".into()));
    fake.set("/ch/02/config/name", Value::Text("Snap".into()));
    thread::sleep(TIMEOUTS.lost_after);
    assert_eq!(watch.status().losses, 1);
    fake.set_fault(Fault::None);
    wait_until(|| watch.status().connected && track(&watch.desk(), 2).name == "Snap");
    assert!(watch.status().last_seen < LONGEST_WAIT);
    // The desk is gone with its socket. Dropping the watch does not wait.
    drop(fake);
    wait_until(|| !watch.status().connected);
    let start = Instant::now();
    drop(watch);
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[test]
fn invalid_packets_do_not_disturb_a_watch() {
    let fake = fake(Fault::None);
    let watch = DeskWatch::start(open(&fake), TIMEOUTS).unwrap();
    fake.set_fault(Fault::Garbage);
    thread::sleep(TIMEOUTS.lost_after * 2);
    assert_eq!((watch.status().connected, watch.status().losses), (true, 0));
    assert_eq!(watch.desk().tracks(), open(&fake).tracks());
}

#[test]
fn a_search_finds_the_only_desk() {
    let (desk, mixer, silent) = (fake(Fault::None), fake(Fault::None), fake(Fault::Silent));
    mixer.set_model("XR18", "1.17");
    let search = |fakes: &[&FakeDesk]| {
        let addresses: Vec<SocketAddr> = fakes.iter().map(|f| f.address()).collect();
        discover_at(&addresses, Duration::from_millis(400)).unwrap()
    };
    let found = search(&[&desk, &mixer, &silent]);
    assert_eq!(found.len(), 2);
    let one = only_desk(&found).unwrap();
    assert_eq!((one.address, one.model.as_str(), one.name.as_str()), (desk.address(), "X32", "Fake desk"));
    assert!(line(&only_desk(&search(&[&mixer])).unwrap_err()).contains("'XR18'"));
    assert!(line(&only_desk(&search(&[&silent])).unwrap_err()).starts_with("no desk answers"));
    mixer.set_model("M32", "4.06");
    assert!(line(&only_desk(&search(&[&desk, &mixer])).unwrap_err()).starts_with("2 desks answer: "));
}

#[test]
fn levels_are_decoded_from_the_desks_meters() {
    let fake = fake(Fault::None);
    let levels = open(&fake).channel_levels(TIMEOUTS).unwrap();
    assert_eq!(levels.len(), 32);
    assert_eq!((levels[0], levels[1], levels[31]), (0.5, 0.25, 0.0));
    // Count and levels are little-endian.
    assert_eq!(meters(&[2, 0, 0, 0, 0, 0, 0x80, 0x3f, 0, 0, 0, 0xbf]), Some(vec![1.0, -0.5]));
    for blob in [&[][..], &[1, 0, 0], &[1, 0, 0, 0], &[255, 255, 255, 255, 0, 0, 0, 0], &[1, 0, 0, 0, 0, 0, 0xc0, 0x7f]] {
        assert_eq!(meters(blob), None, "{blob:?}");
    }
}

#[test]
fn a_name_that_is_not_utf8_keeps_its_valid_part() {
    let name = |bytes: &[u8]| {
        let mut packet = b"/ch/01/config/name\0\0,s\0\0".to_vec();
        packet.extend(bytes);
        decode(&packet).map(|message| message.values)
    };
    assert_eq!(name(b"Fl\xc3\xb6te\0\0"), Ok(vec![Value::Text("Flöte".into())]));
    assert_eq!(name(b"Fl\xf6te\0\0\0"), Ok(vec![Value::Text("Fl?te".into())]));
    assert_eq!(name(b"Fl\xc3\0"), Ok(vec![Value::Text("Fl?".into())]));
}

#[test]
fn packets_that_are_not_messages_are_refused_in_one_line() {
    let deep = [b"/a\0\0,".to_vec(), vec![b'['; 4000], vec![0; 4]].concat();
    let bundle = [b"#bundle\0".to_vec(), vec![0; 100]].concat();
    let long = [b"/a\0\0".to_vec(), vec![0; 9000]].concat();
    let cases = [
        &deep[..],
        &bundle,
        &long,
        b"",
        b"/",
        b"node",
        b"/abc",
        b"/a\0\0,s\0\0abc",
        b"/a\0\0,i\0\0ab",
        b"/a\0\0,b\0\0\xff\xff\xff\xff",
    ];
    for packet in cases {
        line(&decode(packet).unwrap_err());
    }
    assert_eq!(decode(b"/xremote\0\0\0\0").unwrap(), Message { address: "/xremote".into(), values: Vec::new() });
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i32>().prop_map(Value::Int),
        (-40..300).prop_map(Value::Int),
        any::<i32>().prop_map(|i| Value::Float(i as f32)),
        "[^\0]{0,20}".prop_map(Value::Text),
        proptest::collection::vec(any::<u8>(), 0..50).prop_map(Value::Blob),
    ]
}

/// An address that a desk may be asked for, or a similar one.
fn address() -> impl Strategy<Value = String> {
    let block = || prop_oneof![Just("1-8"), Just("9-16"), Just("17-24"), Just("25-32"), Just("AUX")];
    let area = || prop_oneof![Just("CARD"), Just("IN"), Just("PLAY")];
    prop_oneof![
        (area(), block()).prop_map(|(a, b)| format!("/config/routing/{a}/{b}")),
        (0_u8..50, any::<bool>()).prop_map(|(n, o)| format!("/config/userrout/{}/{n:02}", if o { "out" } else { "in" })),
        (0_u8..34, prop_oneof![Just("name"), Just("source"), Just("color")]).prop_map(|(n, w)| format!("/ch/{n:02}/config/{w}")),
        (0_u8..18).prop_map(|n| format!("/outputs/main/{n:02}/src")),
        prop_oneof![Just("/-prefs/card/USBmode"), Just("/-stat/xcardtype"), Just("/-prefs/clockrate")].prop_map(String::from),
        prop_oneof![Just("/config/routing/routswitch"), Just("/info"), Just("/xinfo")].prop_map(String::from),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_are_a_message_or_a_one_line_error(bytes in proptest::collection::vec(any::<u8>(), 0..80), head in 0_usize..4) {
        let heads: [&[u8]; 4] = [b"", b"/a\0\0", b"/a\0\0,ssb", b"/ch/01/config/name\0\0,s\0\0"];
        let packet = [heads[head], &bytes].concat();
        match decode(&packet) {
            Ok(message) => prop_assert!(message.address.starts_with('/')),
            Err(error) => { line(&error); }
        }
    }

    #[test]
    fn an_encoded_message_is_decoded_unchanged(name in "[a-z0-9/]{0,30}", values in proptest::collection::vec(value(), 0..6)) {
        let message = Message { address: format!("/{name}"), values };
        prop_assert_eq!(decode(&encode(&message)).unwrap(), message);
    }

    #[test]
    fn a_truncated_or_altered_message_never_panics(
        values in proptest::collection::vec(value(), 0..6),
        at in any::<prop::sample::Index>(),
        byte: u8,
        cut: bool,
    ) {
        let mut packet = encode(&Message { address: "/ch/01/config/name".into(), values });
        let at = at.index(packet.len());
        if cut { packet.truncate(at) } else { packet[at] = byte }
        let _ = decode(&packet);
    }

    #[test]
    fn any_answers_make_32_tracks_and_valid_names(answers in proptest::collection::vec((address(), value()), 0..60)) {
        let message = |(address, value)| Message { address, values: vec![value] };
        let messages: Vec<Message> = answers.into_iter().map(message).collect();
        let desk = Desk::from_messages("127.0.0.1:1".parse().unwrap(), &messages);
        prop_assert_eq!(desk.tracks().len(), 32);
        for name in desk.stem_names(&(1..=33).collect::<Vec<_>>()) {
            prop_assert!(check_name("name", &name).is_ok(), "{}", name);
        }
        for note in desk.notes() { line(&note); }
        if let Err(mismatch) = desk.check_device(48_000, 32) { line(&mismatch); }
    }
}

#[cfg(feature = "cli")]
mod command {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Output, Stdio};

    fn isotherm(arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_isotherm")).args(arguments).output().unwrap()
    }

    #[test]
    fn the_command_prints_the_desk() {
        let fake = fake(Fault::None);
        let address = fake.address().to_string();
        let output = isotherm(&["desk", &address, "--json"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(
            (&report["model"], &report["clock_rate_hz"], &report["usb_sent"]),
            (&"X32".into(), &48_000.into(), &32.into())
        );
        let tracks = report["tracks"].as_array().unwrap();
        assert_eq!(tracks.len(), 32);
        assert_eq!((&tracks[0]["name"], &tracks[0]["channel"]), (&"Kick".into(), &"1".into()));
        assert_eq!((&tracks[30]["stem"], &tracks[30]["flag"]), (&"Main L".into(), &"carries Main L".into()));
        let table = String::from_utf8(isotherm(&["desk", &address]).stdout).unwrap();
        assert!(table.starts_with(&format!("{address}: X32 'Fake desk', firmware 4.06; 48000 Hz; card X-USB, USB mode 32/32\n")));
        assert!(table.lines().any(|l| l.contains("User Out 31 > Output 1") && l.ends_with("carries Main L")), "{table}");
        assert_eq!(fake.writes(), 0);
    }

    #[test]
    fn the_command_fails_with_one_line() {
        let silent = fake(Fault::Silent);
        let mixer = fake(Fault::None);
        mixer.set_model("XR18", "1.17");
        let (silent_at, mixer_at) = (silent.address().to_string(), mixer.address().to_string());
        let taken = silent.address().port().to_string();
        let cases: [(&[&str], i32, &str); 6] = [
            (&["desk", &silent_at], 1, "gave no answer"),
            (&["desk", &mixer_at], 1, "expected an X32 or M32"),
            (&["desk", "no such desk"], 1, "no such address"),
            (&["desk", "--fake", "70000"], 2, "--fake: '70000' is no number from 0 to 65535"),
            (&["desk", "--fake", "0", "--fault", "fire"], 2, "'fire' is no fault"),
            (&["desk", "--fake", &taken], 1, "cannot be a desk at port"),
        ];
        for (arguments, code, text) in cases {
            let output = isotherm(arguments);
            let line = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(code), "{arguments:?}: {line}");
            assert!(line.starts_with("isotherm: ") && line.contains(text) && line.matches('\n').count() == 1, "{line}");
        }
    }

    #[test]
    fn the_fake_desk_of_the_command_answers() {
        let arguments = ["desk", "--fake", "0", "--seconds", "20"];
        let mut child = Command::new(env!("CARGO_BIN_EXE_isotherm")).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.strip_prefix("a fake desk at ").and_then(|l| l.split(';').next()).unwrap();
        let desk = Desk::open_with(address.parse().unwrap(), TIMEOUTS).unwrap();
        assert_eq!(track(&desk, 1).name, "Kick");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
