//! ONNX Runtime: finding and opening its shared library, and running a graph in it ([`GraphRunner`]).

use std::ffi::{CStr, c_void};
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ort::AsPointer;
use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{NoSelectedOutputs, RunOptions, Session, SessionInputValue};
use ort::value::TensorRef;

use super::graph::{AUDIO, Contract, KNOBS, OUTPUT};

/// Environment variable with the path of the library. If it is set, no other library is tried.
const LIBRARY_VARIABLE: &str = "ORT_DYLIB_PATH";
/// Folder beside the plug-in or program in which the library may be, apart from other files.
const LIBRARY_FOLDER: &str = "Isotherm";
/// File names of the library.
#[cfg(windows)]
const LIBRARIES: [&str; 1] = ["onnxruntime.dll"];
#[cfg(target_os = "macos")]
const LIBRARIES: [&str; 1] = ["libonnxruntime.dylib"];
#[cfg(not(any(windows, target_os = "macos")))]
const LIBRARIES: [&str; 2] = ["libonnxruntime.so.1", "libonnxruntime.so"];

/// Bytes that all graphs of this process may allocate together.
const MAX_MEMORY_BYTES: usize = 1 << 30;

/// The environment of ONNX Runtime. A process has one, until it ends. An error stays as well: `ort` must not be used again
/// after one.
static ENVIRONMENT: Mutex<Option<Result<Environment, String>>> = Mutex::new(None);

/// Returns the environment. Opens the library if it is not open yet; a library that was not found is looked for again.
/// [control thread]
fn environment() -> Result<Environment, String> {
    let mut environment = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    if environment.is_none() {
        let file = choose_library(&library_candidates())?;
        // `ort` may panic on a library that passes all checks.
        let made = catch_unwind(|| make_environment(&file));
        *environment = Some(made.unwrap_or_else(|_| Err(format!("{} does not begin to work", file.display()))));
    }
    environment.clone().expect("it was made")
}

fn make_environment(file: &Path) -> Result<Environment, String> {
    let builder = ort::init_from(file).map_err(|e| e.to_string())?;
    let environment = builder.with_name("isotherm").with_telemetry(false).build().map_err(|e| e.to_string())?;
    environment.set_log_level(LogLevel::Fatal);
    limit_memory(&environment)?;
    Ok(environment)
}

/// The paths to try for the library, in this order.
fn library_candidates() -> Vec<PathBuf> {
    if let Some(path) = std::env::var_os(LIBRARY_VARIABLE).filter(|path| !path.is_empty()) {
        return vec![path.into()];
    }
    let program = std::env::current_exe().ok();
    let folders = [own_file(), program].into_iter().flatten().filter_map(|file| file.parent().map(Path::to_owned));
    let beside = folders.flat_map(|folder| [folder.join(LIBRARY_FOLDER), folder]);
    let mut files: Vec<PathBuf> =
        beside.flat_map(|folder| LIBRARIES.map(|name| folder.join(name))).filter(|f| f.exists()).collect();
    files.dedup();
    // A name without a folder is looked for by the system.
    files.extend(LIBRARIES.map(PathBuf::from));
    files
}

/// Opens the first of `files` that is ONNX Runtime, and returns its path.
fn choose_library(files: &[PathBuf]) -> Result<PathBuf, String> {
    let mut errors = Vec::new();
    for file in files {
        match open_library(file) {
            Ok(file) => return Ok(file),
            Err(error) => errors.push(format!("{}: {error}", file.display())),
        }
    }
    let places = format!("in {LIBRARY_VARIABLE}, beside the plug-in or program, in the system");
    Err(format!("no ONNX Runtime was found ({places}); .onnx models need it: {}", errors.join("; ")))
}

/// Opens a library and returns its path. If it is ONNX Runtime, in a version that is new enough, it stays open until the
/// process ends. After a failure to open a library `ort` behaves as if it had succeeded, so `ort` only gets a library that can
/// be opened.
fn open_library(file: &Path) -> Result<PathBuf, String> {
    // SAFETY: opening a library runs its initialisers, which are trusted: the user chose the library, or it was installed.
    let library =
        unsafe { libloading::Library::new(file) }.map_err(|e| std::error::Error::source(&e).unwrap_or(&e).to_string())?;
    let no_runtime = || "no ONNX Runtime: it has no OrtGetApiBase".to_owned();
    // SAFETY: `OrtGetApiBase` and the functions in the struct that it returns have these types in every version of ONNX
    // Runtime.
    let (found, version) = unsafe {
        let base =
            library.get::<unsafe extern "C" fn() -> *const ort::sys::OrtApiBase>(b"OrtGetApiBase").map_err(|_| no_runtime())?;
        let api = base();
        if api.is_null() {
            return Err(no_runtime());
        }
        let version = CStr::from_ptr(((*api).GetVersionString)()).to_string_lossy().into_owned();
        let minor = version.split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok());
        let is_new =
            minor.is_some_and(|minor| minor >= ort::MINOR_VERSION) && !((*api).GetApi)(ort::sys::ORT_API_VERSION).is_null();
        (is_new.then(|| file_of(*base as *const c_void)), version)
    };
    let found = found.ok_or_else(|| format!("ONNX Runtime {version}; expected 1.{} or later", ort::MINOR_VERSION))?;
    std::mem::forget(library);
    found.ok_or_else(|| format!("ONNX Runtime {version} lies in no file"))
}

/// Gives all sessions of an environment one allocator, which is limited to [`MAX_MEMORY_BYTES`].
fn limit_memory(environment: &Environment) -> Result<(), String> {
    let api = ort::api();
    let check = |status| {
        // SAFETY: `status` comes from the runtime and is used once.
        unsafe { ort::Error::result_from_status(status) }.map_err(|e| e.to_string())
    };
    let (mut memory, mut arena) = (std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: the runtime writes the pointers before they are read, and each is freed once. The options -1 are the runtime's
    // defaults.
    unsafe {
        check((api.CreateCpuMemoryInfo)(
            ort::sys::OrtAllocatorType::OrtArenaAllocator,
            ort::sys::OrtMemType::OrtMemTypeDefault,
            &mut memory,
        ))?;
        let made = check((api.CreateArenaCfg)(MAX_MEMORY_BYTES, -1, -1, -1, &mut arena));
        let made = made.and_then(|()| check((api.CreateAndRegisterAllocator)(environment.ptr().cast_mut(), memory, arena)));
        if !arena.is_null() {
            (api.ReleaseArenaCfg)(arena);
        }
        (api.ReleaseMemoryInfo)(memory);
        made
    }
}

/// The file that this code was loaded from: the plug-in's library or the program.
fn own_file() -> Option<PathBuf> {
    file_of(own_file as *const c_void)
}

/// The file that the code at an address was loaded from.
#[cfg(unix)]
fn file_of(code: *const c_void) -> Option<PathBuf> {
    use std::ffi::{OsStr, c_char, c_int};
    use std::os::unix::ffi::OsStrExt;
    /// `Dl_info` of dlfcn.h.
    #[repr(C)]
    struct DlInfo {
        file: *const c_char,
        base: *mut c_void,
        symbol: *const c_char,
        address: *mut c_void,
    }
    unsafe extern "C" {
        fn dladdr(address: *const c_void, info: *mut DlInfo) -> c_int;
    }
    let mut info =
        DlInfo { file: std::ptr::null(), base: std::ptr::null_mut(), symbol: std::ptr::null(), address: std::ptr::null_mut() };
    // SAFETY: `dladdr` takes any address. The name that it returns lives as long as this code is loaded.
    let name = unsafe {
        if dladdr(code, &mut info) == 0 || info.file.is_null() {
            return None;
        }
        CStr::from_ptr(info.file)
    };
    Path::new(OsStr::from_bytes(name.to_bytes())).canonicalize().ok()
}

/// The file that the code at an address was loaded from.
#[cfg(windows)]
fn file_of(code: *const c_void) -> Option<PathBuf> {
    use std::ffi::OsString;
    use std::os::windows::ffi::OsStringExt;
    // Flags of libloaderapi.h: the address is inside the module, and the module's reference count stays the same.
    const FROM_ADDRESS: u32 = 4;
    const UNCHANGED_COUNT: u32 = 2;
    #[link(name = "kernel32")]
    unsafe extern "system" {
        fn GetModuleHandleExW(flags: u32, address: *const c_void, module: *mut *mut c_void) -> i32;
        fn GetModuleFileNameW(module: *mut c_void, name: *mut u16, length: u32) -> u32;
    }
    let mut module = std::ptr::null_mut();
    let mut name = [0_u16; 4096];
    // SAFETY: `GetModuleHandleExW` takes any address. The name is written within the given length.
    let length = unsafe {
        if GetModuleHandleExW(FROM_ADDRESS | UNCHANGED_COUNT, code, &mut module) == 0 {
            return None;
        }
        GetModuleFileNameW(module, name.as_mut_ptr(), name.len() as u32) as usize
    };
    (1..name.len()).contains(&length).then(|| OsString::from_wide(&name[..length]).into())
}

/// A handle that stops a [`GraphRunner`] from another thread.
#[derive(Clone)]
pub struct StopHandle(Arc<RunOptions<NoSelectedOutputs>>);

impl StopHandle {
    /// Makes a handle for one runner. [control thread]
    ///
    /// # Errors
    /// If ONNX Runtime cannot be found or opened.
    pub fn new() -> Result<Self, String> {
        environment()?;
        Ok(Self(Arc::new(RunOptions::new().map_err(|e| e.to_string())?)))
    }

    /// Makes the current run and all later ones fail. [any thread]
    pub fn stop(&self) {
        // There is nothing to do about an error.
        let _ = self.0.terminate();
    }
}

/// A graph that is open in ONNX Runtime, and the state of all channels.
pub struct GraphRunner {
    session: Session,
    stop: StopHandle,
    contract: Arc<Contract>,
    /// Channels of one run of the graph: all, or one.
    batch: usize,
    /// Frames of one run.
    frames: usize,
    /// For each of the runs that all channels together need: the values of each state tensor.
    states: Vec<Vec<Vec<f32>>>,
    /// Values of each state tensor for the channels of a run, to which `reset` goes.
    settled_states: Vec<Vec<f32>>,
}

impl GraphRunner {
    /// Opens a graph. `start` has the values of each state tensor for one channel at the beginning. The thread that calls this
    /// must also call [`Self::run`]; afterwards denormal numbers become zero on it. [inference thread]
    ///
    /// # Errors
    /// If ONNX Runtime cannot be found or opened, or refuses the graph.
    pub fn open(
        bytes: &[u8],
        contract: &Arc<Contract>,
        stop: StopHandle,
        channels: usize,
        frames: usize,
        start: &[Vec<f32>],
    ) -> Result<Self, String> {
        let environment = environment()?;
        let session = new_session(&environment, bytes);
        let session = session.map_err(|e| format!("ONNX Runtime does not take the graph: {e}"))?;
        let batch = if contract.batched { channels } else { 1 };
        let settled_states: Vec<Vec<f32>> =
            contract.states.iter().zip(start).map(|(s, one)| repeat_along_batch(one, &s.shape, s.batch, batch)).collect();
        let states = vec![settled_states.clone(); channels / batch];
        Ok(Self { session, stop, contract: contract.clone(), batch, frames, states, settled_states })
    }

    /// Runs an inference block in place: `frames` frames of every channel, one channel after the other. [inference thread]
    ///
    /// # Errors
    /// If the runtime fails or is stopped, or an output has another shape than in the contract or is not finite. The state is
    /// invalid then, until [`Self::reset`] or [`Self::settle`].
    pub fn run(&mut self, audio: &mut [f32], knobs: &[f32]) -> Result<(), String> {
        let (batch, frames) = (self.batch, self.frames);
        let knobs = knobs.repeat(batch);
        for (audio, states) in audio.chunks_exact_mut(batch * frames).zip(&mut self.states) {
            let inputs = named_inputs(&self.contract, batch, [frames, self.contract.knobs], audio, &knobs, states);
            let outputs = inputs.and_then(|inputs| self.session.run_with_options(inputs, &*self.stop.0));
            let outputs = outputs.map_err(|e| e.to_string())?;
            let take = |name: &str, shape: &mut dyn Iterator<Item = usize>, to: &mut [f32]| {
                let (found, values) = outputs[name].try_extract_tensor::<f32>().map_err(|e| e.to_string())?;
                let expected: Vec<i64> = shape.map(|n| n as i64).collect();
                if **found != *expected {
                    return Err(format!("'{name}' came out as {:?}; expected {expected:?}", &**found));
                }
                if let Some(at) = values.iter().position(|x| !x.is_finite()) {
                    return Err(format!("'{name}' has {} at {at}; expected finite numbers", values[at]));
                }
                to.copy_from_slice(values);
                Ok(())
            };
            take(OUTPUT, &mut [batch, frames].into_iter(), audio)?;
            for (state, values) in self.contract.states.iter().zip(states) {
                let shape = state.shape.iter().enumerate().map(|(d, n)| if state.batch == Some(d) { batch } else { *n });
                take(&state.output, &mut shape.into_iter(), values)?;
            }
        }
        Ok(())
    }

    /// Goes back to the state of the last [`Self::settle`], or else to the one with which the runner was opened.
    /// [inference thread]
    pub fn reset(&mut self) {
        for states in &mut self.states {
            for (state, start) in states.iter_mut().zip(&self.settled_states) {
                state.copy_from_slice(start);
            }
        }
    }

    /// Settles the graph at these values of the knobs: runs silence through all channels from a zero state until nothing
    /// changes any more, at most `runs` times. Afterwards [`Self::reset`] returns to that state. [inference thread]
    ///
    /// # Errors
    /// As [`Self::run`]; then the state to which `reset` goes stays the same.
    pub fn settle(&mut self, knobs: &[f32], runs: usize) -> Result<(), String> {
        self.states.iter_mut().flatten().for_each(|state| state.fill(0.0));
        let channels = self.batch * self.states.len();
        for _ in 0..runs {
            let before = self.states[0].clone();
            self.run(&mut vec![0.0; channels * self.frames], knobs)?;
            if self.states[0] == before {
                break;
            }
        }
        self.settled_states.clone_from(&self.states[0]);
        Ok(())
    }

    /// Values of each state tensor, for the channels of a run, to which [`Self::reset`] goes. [inference thread]
    pub fn settled_states(&self) -> &[Vec<f32>] {
        &self.settled_states
    }
}

/// Opens a session that uses no thread but the one that calls it.
fn new_session(environment: &Environment, bytes: &[u8]) -> ort::Result<Session> {
    Session::builder(environment)?
        .with_log_level(LogLevel::Fatal)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        // Constant folding would compute while the session is loaded, without the limit of memory.
        .with_disabled_optimizers("ConstantFolding")?
        .with_env_allocators()?
        .with_flush_to_zero()?
        .with_deterministic_compute(true)?
        .with_inter_threads(1)?
        .with_intra_threads(1)?
        .commit_from_memory(bytes)
}

/// The input tensors of a run with their names. `[frames, count]` are the columns of the audio and of the knobs.
fn named_inputs<'a>(
    contract: &'a Contract,
    batch: usize,
    [frames, count]: [usize; 2],
    audio: &'a [f32],
    knobs: &'a [f32],
    states: &'a [Vec<f32>],
) -> ort::Result<Vec<(&'a str, SessionInputValue<'a>)>> {
    let mut inputs = vec![(AUDIO, TensorRef::from_array_view(([batch, frames], audio))?.into())];
    if count > 0 {
        inputs.push((KNOBS, TensorRef::from_array_view(([batch, count], knobs))?.into()));
    }
    for (state, values) in contract.states.iter().zip(states) {
        let mut shape = state.shape.clone();
        if let Some(dim) = state.batch {
            shape[dim] = batch;
        }
        inputs.push((&state.input, TensorRef::from_array_view((shape, values.as_slice()))?.into()));
    }
    Ok(inputs)
}

/// Repeats a tensor of batch 1 along its batch dimension.
fn repeat_along_batch(one: &[f32], shape: &[usize], batch_dim: Option<usize>, batch: usize) -> Vec<f32> {
    let inner: usize = batch_dim.map_or(one.len(), |dim| shape[dim + 1..].iter().product());
    one.chunks_exact(inner).flat_map(|part| part.repeat(batch)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_repeated_along_its_batch() {
        assert_eq!(repeat_along_batch(&[1.0, 2.0, 3.0, 4.0], &[2, 1, 2], Some(1), 2), [1.0, 2.0, 1.0, 2.0, 3.0, 4.0, 3.0, 4.0]);
        assert_eq!(repeat_along_batch(&[1.0, 2.0], &[1, 2], Some(0), 3), [1.0, 2.0, 1.0, 2.0, 1.0, 2.0]);
        assert_eq!(repeat_along_batch(&[1.0, 2.0], &[1, 2], None, 1), [1.0, 2.0]);
    }

    #[test]
    fn the_path_of_the_running_program_is_found() {
        assert_eq!(own_file().unwrap(), std::env::current_exe().unwrap().canonicalize().unwrap());
    }

    #[test]
    fn a_file_that_is_not_the_library_is_an_error_of_one_line() {
        let error = choose_library(&["/nowhere/libonnxruntime.so.1".into(), std::env::current_exe().unwrap()]).unwrap_err();
        assert!(error.contains("/nowhere/libonnxruntime.so.1") && error.lines().count() == 1, "{error}");
    }
}
