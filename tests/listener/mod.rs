//! A scripted listener, who takes a whole listening test in a real window by keys alone. It sees some pixels of the window and hears
//! what is played, and knows nothing else: it finds X by comparing what it heard.

mod running_view;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use egui::accesskit::Role;
use egui::{Pos2, Rect, Vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use isotherm::view::{Button, ListenView, TestPart, TestStep};
use running_view::running_test;
use x11rb::protocol::xproto::{ConnectionExt, ImageFormat};

/// Frames of a part of the loop by which a side is found.
const PART_FRAMES: usize = 24_000;
/// Energy of a difference, as a share of that of the sound, below which two sounds are the same.
const SAME: f64 = 1e-9;

type Color = [u8; 3];
/// The theme's colour of a button that can be pressed.
const RAISED: Color = [0x2a, 0x2e, 0x35];
/// The theme's colour of a button that is down.
const NEUTRAL: Color = [0xc9, 0xce, 0xd6];

/// The window, the keyboard and the sound of the place where the test is taken.
pub trait Place {
    /// Presses a key, named as X11 does.
    fn press(&mut self, key: &str);
    /// The colour of a pixel of the window, in logical pixels.
    fn color(&mut self, at: Pos2) -> Color;
    /// The next frames that are played, from now on: the number of the first one, and the samples of a channel.
    fn hear(&mut self, frames: usize) -> (u64, Vec<f32>);
    /// Lets some time pass, in which sound plays.
    fn pass(&mut self, time: Duration);
    /// Saves a picture of the window for people.
    fn save_picture(&mut self, name: &str);
}

/// The colour of a pixel of a window.
pub fn pixel(connection: &impl ConnectionExt, window: u32, at: Pos2) -> Color {
    let (x, y) = (at.x.round() as i16, at.y.round() as i16);
    let image = connection.get_image(ImageFormat::Z_PIXMAP, window, x, y, 1, 1, !0).unwrap().reply().unwrap();
    [image.data[2], image.data[1], image.data[0]]
}

/// Points of the window by which the listener sees what it is asked.
#[derive(Clone, Copy, Debug)]
pub struct Points {
    /// On the buttons A, B and X.
    play: [Pos2; 3],
    /// On the first answer, and on the first level of confidence.
    answer: Pos2,
    /// On the button that goes on after feedback.
    feedback: Pos2,
    /// On the title of the setup, which is no button: a click there gives the panel the keys.
    pub title: Pos2,
    /// On the button that goes on after an introduction or in a pause.
    go_on: Pos2,
    /// On the button that ends the training.
    end_training: Pos2,
}

impl Points {
    /// Finds the points in a window without a screen. `show` lets it show a view.
    pub fn find<S>(harness: &mut Harness<'_, S>, mut show: impl FnMut(&mut S, ListenView)) -> Self {
        let corner = |rect: Rect| rect.left_top() + Vec2::splat(9.0);
        let mut at = |part, step, harness: &mut Harness<'_, S>| {
            show(harness.state_mut(), running_test(part, step));
            harness.run_steps(4);
        };
        at(TestPart::Training, TestStep::Answer, harness);
        let play = ["Play A", "Play B", "Play X"].map(|name| corner(harness.get_by_label(name).rect()));
        let answer = corner(harness.get_by_label("X is A").rect());
        let end_training = corner(harness.get_by_label("End training").rect());
        at(TestPart::Training, TestStep::Feedback { right: true }, harness);
        let feedback = corner(harness.get_by_label("Go on").rect());
        at(TestPart::Test, TestStep::Introduction, harness);
        let go_on = corner(harness.get_by_label("Go on").rect());
        show(harness.state_mut(), ListenView { is_open: true, ..ListenView::default() });
        harness.run_steps(4);
        let title = harness.get_by_role_and_label(Role::Heading, "Listening test").rect().center();
        Self { play, answer, feedback, title, go_on, end_training }
    }
}

/// The question that the listener is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Answer { training: bool },
    Confidence,
    Feedback,
    GoOn,
    Nothing,
}

/// The listener.
pub struct Listener<P> {
    pub place: P,
    pub points: Points,
    /// The folder in which sessions are made.
    pub sessions: PathBuf,
    pub deadline: Instant,
}

fn is_near(color: Color, other: Color) -> bool {
    color.iter().zip(other).all(|(a, b)| a.abs_diff(b) <= 6)
}

impl<P: Place> Listener<P> {
    fn is_button(&mut self, at: Pos2) -> bool {
        let color = self.place.color(at);
        is_near(color, RAISED) || is_near(color, NEUTRAL)
    }

    fn asked(&mut self) -> Asked {
        let points = self.points;
        // The buttons that play are off when a trial is answered.
        if points.play.iter().all(|at| self.is_button(*at)) {
            return Asked::Answer { training: self.is_button(points.end_training) };
        }
        if self.is_button(points.answer) {
            return Asked::Confidence;
        }
        if self.is_button(points.feedback) {
            return Asked::Feedback;
        }
        if self.is_button(points.go_on) { Asked::GoOn } else { Asked::Nothing }
    }

    /// Waits until a condition holds, while sound plays.
    fn wait_for(&mut self, what: &str, mut condition: impl FnMut(&mut Self) -> bool) {
        while !condition(self) {
            if Instant::now() > self.deadline {
                self.place.save_picture("late");
                panic!("waited too long for {what}");
            }
            self.place.pass(Duration::from_millis(30));
        }
    }

    /// The folder of the only session; None before there is one.
    pub fn session(&self) -> Option<PathBuf> {
        let all: Vec<PathBuf> = std::fs::read_dir(&self.sessions).ok()?.flatten().map(|entry| entry.path()).collect();
        assert!(all.len() <= 1, "one session: {all:?}");
        all.into_iter().next().filter(|folder| folder.join("log.jsonl").exists())
    }

    fn has_ended(&self) -> bool {
        self.session().is_some_and(|folder| folder.join("trials.csv").exists())
    }

    /// Presses a button and hears what it plays.
    fn hear(&mut self, button: Button, frames: usize) -> (u64, Vec<f32>) {
        let number = match button {
            Button::First => 0,
            Button::Second => 1,
            Button::X => 2,
        };
        self.place.press(["a", "b", "x"][number]);
        let at = self.points.play[number];
        self.wait_for("the button to be down", |listener| is_near(listener.place.color(at), NEUTRAL));
        // The press is done before the button is down; the dip takes 10 ms more.
        self.place.pass(Duration::from_millis(250));
        self.place.hear(frames)
    }

    /// Listens to a whole loop of button A and of button B, as a listener learns what both sides sound like. `period`: frames of the
    /// loop.
    fn learn(&mut self, period: usize) -> [Vec<f32>; 2] {
        [Button::First, Button::Second].map(|button| self.hear(button, period).1)
    }

    /// The one of both sides that a button plays, found in a part of the loop in which they differ.
    fn find_side(&mut self, sides: &[Vec<f32>; 2], button: Button) -> usize {
        loop {
            let (_, heard) = self.hear(button, PART_FRAMES);
            let found: Vec<usize> = (0..2).filter(|side| is_part(&heard, &sides[*side])).collect();
            match found[..] {
                [side] => return side,
                [] => panic!("{button:?} plays neither side"),
                // Nothing is to be heard there: between two notes.
                _ => assert!(Instant::now() < self.deadline, "both sides are the same"),
            }
        }
    }

    /// Takes the test that starts: answers rightly in the control, and in the test as `script` says. Ends with the session's folder.
    pub fn take_test(&mut self, script: &[bool], controls: usize) -> PathBuf {
        self.wait_for("the test to start", |listener| listener.session().is_some() && listener.asked() != Asked::Nothing);
        let folder = self.session().expect("there is a session");
        let period = loop_frames(&folder.join("log.jsonl"));
        let mut answers = 0;
        let mut pictures = 0;
        let mut sides = [Vec::new(), Vec::new()];
        while !self.has_ended() {
            assert!(Instant::now() < self.deadline, "the test takes too long: {answers} answers");
            let asked = self.asked();
            match asked {
                Asked::GoOn | Asked::Feedback => self.place.press("Return"),
                Asked::Answer { training: true } => self.place.press("e"),
                Asked::Answer { training: false } => {
                    // The control has a side of its own.
                    if answers == 0 || answers == controls {
                        sides = self.learn(period);
                    }
                    let is_a = self.find_side(&sides, Button::First) == self.find_side(&sides, Button::X);
                    let right = answers < controls || script[answers - controls];
                    answers += 1;
                    self.place.press(if is_a == right { "Left" } else { "Right" });
                    self.place.pass(Duration::from_millis(100));
                    if answers == controls + 3 {
                        self.place.save_picture("test");
                        pictures += 1;
                    }
                    self.place.press("Return");
                }
                Asked::Confidence => self.place.press("3"),
                Asked::Nothing => {}
            }
            // A key is pressed once for each question.
            let begun = Instant::now();
            self.wait_for("the next question", |listener| {
                listener.has_ended() || listener.asked() != asked || begun.elapsed() > Duration::from_secs(2)
            });
            // A question of the same kind may follow at once, so the window gets time to show it.
            self.place.pass(Duration::from_millis(150));
        }
        assert_eq!((answers, pictures), (controls + script.len(), 1));
        self.place.pass(Duration::from_secs(1));
        self.place.save_picture("result");
        folder
    }
}

/// True if a sound is a part of a loop, which may begin anywhere in it, sample by sample.
fn is_part(heard: &[f32], whole: &[f32]) -> bool {
    let energy = heard.iter().map(|y| f64::from(*y).powi(2)).sum::<f64>().max(1e-12);
    (0..whole.len()).any(|first| {
        let of_loop = whole[first..].iter().chain(whole.iter().cycle());
        let mut difference = 0.0;
        heard.iter().zip(of_loop).all(|(y, x)| {
            difference += f64::from(y - x).powi(2);
            difference < SAME * energy
        })
    })
}

/// Frames of the loop of a session, by the first line of its log.
fn loop_frames(log: &Path) -> usize {
    let log = std::fs::read_to_string(log).unwrap();
    let configuration: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    configuration["matching"]["frames"].as_u64().unwrap() as usize
}
