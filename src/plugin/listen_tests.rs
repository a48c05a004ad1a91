//! Tests of listening tests in the plug-in, which a CLAP host in this process loads by the entry of this crate.

use isotherm_host::ClapInstance;

use super::twin_tests::LAST_INSTANCE;
use crate::view::ListenAction;

#[test]
fn a_host_may_let_the_plug_in_sleep_in_silence_unless_the_panel_of_listening_tests_is_open() {
    // SAFETY: this is the entry of this crate's plug-in, a static.
    let mut plugin = unsafe { ClapInstance::linked((&raw const crate::plugin::clap_entry).cast()) }.unwrap();
    let shared = LAST_INSTANCE.take().upgrade().unwrap();
    plugin.activate(48_000.0, 256).unwrap();
    let silence = vec![vec![0.0; 1024]; plugin.channels()];
    plugin.render(&silence, [256], &[]).unwrap();
    assert!(plugin.may_sleep());
    shared.listen(ListenAction::Open);
    plugin.render(&silence, [256], &[]).unwrap();
    assert!(!plugin.may_sleep());
    shared.listen(ListenAction::Close);
    shared.tests.shut_down();
    plugin.render(&silence, [256], &[]).unwrap();
    assert!(plugin.may_sleep());
}
