//! The view of a listening test that runs, for tests of windows.

use isotherm::view::{Form, ListenStage, ListenView, TestPart, TestStep, TestView};

/// The view of a running test.
pub fn running_test(part: TestPart, step: TestStep) -> ListenView {
    let test = TestView {
        part,
        form: Form::Abx,
        step,
        number: 1,
        of: (part != TestPart::Training).then_some(16),
        playing: None,
        answer: None,
        instruction: String::new(),
        note: None,
        commitment: String::new(),
        receipt: String::new(),
    };
    ListenView { is_open: true, stage: ListenStage::Running(test), ..ListenView::default() }
}
