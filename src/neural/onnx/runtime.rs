//! ONNX Runtime: where its shared library is found, and a graph that runs in it.

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

/// Names a library that is used instead of any other.
const VARIABLE: &str = "ORT_DYLIB_PATH";
/// The folder beside a plug-in that holds the library, so that it lies in nobody's way.
const FOLDER: &str = "Isotherm";
/// What the library is called.
#[cfg(windows)]
const LIBRARIES: [&str; 1] = ["onnxruntime.dll"];
#[cfg(target_os = "macos")]
const LIBRARIES: [&str; 1] = ["libonnxruntime.dylib"];
#[cfg(not(any(windows, target_os = "macos")))]
const LIBRARIES: [&str; 2] = ["libonnxruntime.so.1", "libonnxruntime.so"];

/// Bytes that all graphs of this process may allocate together.
const MOST_MEMORY: usize = 1 << 30;

/// There is one in a process; it stays until that ends. An error is final too: `ort` must not be asked again after it.
static ENVIRONMENT: Mutex<Option<Result<Environment, String>>> = Mutex::new(None);

/// Opens the library the first time; looks for it again if there was none. [control thread]
fn environment() -> Result<Environment, String> {
    let mut environment = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    if environment.is_none() {
        let file = choose(&candidates())?;
        // What its checks did not see may make `ort` panic.
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

/// The places of the library, first the one to try first.
fn candidates() -> Vec<PathBuf> {
    if let Some(path) = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
        return vec![path.into()];
    }
    let program = std::env::current_exe().ok();
    let folders = [own_file(), program].into_iter().flatten().filter_map(|file| file.parent().map(Path::to_owned));
    let beside = folders.flat_map(|folder| [folder.join(FOLDER), folder]);
    let mut files: Vec<PathBuf> =
        beside.flat_map(|folder| LIBRARIES.map(|name| folder.join(name))).filter(|f| f.exists()).collect();
    files.dedup();
    // By its name alone the system looks for it.
    files.extend(LIBRARIES.map(PathBuf::from));
    files
}

/// The first of `files` that is a library of ONNX Runtime.
fn choose(files: &[PathBuf]) -> Result<PathBuf, String> {
    let mut errors = Vec::new();
    for file in files {
        match check(file) {
            Ok(file) => return Ok(file),
            Err(error) => errors.push(format!("{}: {error}", file.display())),
        }
    }
    let places = format!("in {VARIABLE}, beside the plug-in or program, in the system");
    Err(format!("no ONNX Runtime was found ({places}); .onnx models need it: {}", errors.join("; ")))
}

/// Opens a library, for good if it is ONNX Runtime, and returns its file. `ort` takes its first failure to open one for a success
/// ever after, so it only gets what is sure to open.
fn check(file: &Path) -> Result<PathBuf, String> {
    // SAFETY: what a library does while it is opened is what whoever put it there wants.
    let library =
        unsafe { libloading::Library::new(file) }.map_err(|e| std::error::Error::source(&e).unwrap_or(&e).to_string())?;
    let no_runtime = || "no ONNX Runtime: it has no OrtGetApiBase".to_owned();
    // SAFETY: this is the type of that function in every version, as is that of what it returns.
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

/// Gives the sessions of an environment one allocator that ends at [`MOST_MEMORY`].
fn limit_memory(environment: &Environment) -> Result<(), String> {
    let api = ort::api();
    let check = |status| {
        // SAFETY: `status` comes from the runtime and is used once.
        unsafe { ort::Error::result_from_status(status) }.map_err(|e| e.to_string())
    };
    let (mut memory, mut arena) = (std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: the pointers are written by the runtime before they are read, and freed once; -1 means its own choice.
    unsafe {
        check((api.CreateCpuMemoryInfo)(
            ort::sys::OrtAllocatorType::OrtArenaAllocator,
            ort::sys::OrtMemType::OrtMemTypeDefault,
            &mut memory,
        ))?;
        let made = check((api.CreateArenaCfg)(MOST_MEMORY, -1, -1, -1, &mut arena));
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
    struct Info {
        file: *const c_char,
        base: *mut c_void,
        symbol: *const c_char,
        address: *mut c_void,
    }
    unsafe extern "C" {
        fn dladdr(address: *const c_void, info: *mut Info) -> c_int;
    }
    let mut info =
        Info { file: std::ptr::null(), base: std::ptr::null_mut(), symbol: std::ptr::null(), address: std::ptr::null_mut() };
    // SAFETY: any address may be asked for; the name that comes back lives as long as this code is loaded.
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
    // Of libloaderapi.h: the address is inside the module, and the module may go.
    const FROM_ADDRESS: u32 = 4;
    const UNCHANGED_COUNT: u32 = 2;
    #[link(name = "kernel32")]
    unsafe extern "system" {
        fn GetModuleHandleExW(flags: u32, address: *const c_void, module: *mut *mut c_void) -> i32;
        fn GetModuleFileNameW(module: *mut c_void, name: *mut u16, length: u32) -> u32;
    }
    let mut module = std::ptr::null_mut();
    let mut name = [0_u16; 4096];
    // SAFETY: any address may be asked for; the name is written within its length.
    let length = unsafe {
        if GetModuleHandleExW(FROM_ADDRESS | UNCHANGED_COUNT, code, &mut module) == 0 {
            return None;
        }
        GetModuleFileNameW(module, name.as_mut_ptr(), name.len() as u32) as usize
    };
    (1..name.len()).contains(&length).then(|| OsString::from_wide(&name[..length]).into())
}

/// Stops a run from another thread.
#[derive(Clone)]
pub struct Stop(Arc<RunOptions<NoSelectedOutputs>>);

impl Stop {
    /// [control thread]
    ///
    /// # Errors
    /// If there is no ONNX Runtime.
    pub fn new() -> Result<Self, String> {
        environment()?;
        Ok(Self(Arc::new(RunOptions::new().map_err(|e| e.to_string())?)))
    }

    /// The run at hand and all later ones fail. [any thread]
    pub fn stop(&self) {
        // There is nothing to be done if the runtime does not.
        let _ = self.0.terminate();
    }
}

/// A graph and its state.
pub struct Runner {
    session: Session,
    stop: Stop,
    contract: Arc<Contract>,
    /// Channels of a run.
    batch: usize,
    frames: usize,
    /// For each run that all channels need: for each state its values.
    states: Vec<Vec<Vec<f32>>>,
    /// What `reset` goes back to, for each state.
    start: Vec<Vec<f32>>,
}

impl Runner {
    /// `start` is the state of one channel to begin with. The thread that calls this is the one that runs it: its denormals become
    /// zero. [inference thread]
    ///
    /// # Errors
    /// If the runtime is not there or refuses the graph.
    pub fn open(
        bytes: &[u8],
        contract: &Arc<Contract>,
        stop: Stop,
        channels: usize,
        frames: usize,
        start: &[Vec<f32>],
    ) -> Result<Self, String> {
        let environment = environment()?;
        let session = session(&environment, bytes);
        let session = session.map_err(|e| format!("ONNX Runtime does not take the graph: {e}"))?;
        let batch = if contract.batched { channels } else { 1 };
        let start: Vec<Vec<f32>> =
            contract.states.iter().zip(start).map(|(s, one)| spread(one, &s.shape, s.batch, batch)).collect();
        let states = vec![start.clone(); channels / batch];
        Ok(Self { session, stop, contract: contract.clone(), batch, frames, states, start })
    }

    /// Runs `frames` frames of every channel, one channel behind the other, in place. [inference thread]
    ///
    /// # Errors
    /// If the runtime fails, or gives other shapes than the contract's, or what is no number. The state is not to be used then.
    pub fn run(&mut self, audio: &mut [f32], knobs: &[f32]) -> Result<(), String> {
        let (batch, frames) = (self.batch, self.frames);
        let knobs = knobs.repeat(batch);
        for (audio, states) in audio.chunks_exact_mut(batch * frames).zip(&mut self.states) {
            let inputs = inputs(&self.contract, batch, [frames, self.contract.knobs], audio, &knobs, states);
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

    /// Back to the state at the start. [inference thread]
    pub fn reset(&mut self) {
        for states in &mut self.states {
            for (state, start) in states.iter_mut().zip(&self.start) {
                state.copy_from_slice(start);
            }
        }
    }

    /// Runs silence through all channels from a zero state, at most `runs` times, until nothing changes any more; [`Self::reset`] goes
    /// there from now on. [inference thread]
    ///
    /// # Errors
    /// As [`Self::run`]; then `reset` goes where it went before.
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
        self.start.clone_from(&self.states[0]);
        Ok(())
    }

    /// The state that [`Self::reset`] goes to, of the channels of a run. [inference thread]
    pub fn start(&self) -> &[Vec<f32>] {
        &self.start
    }
}

/// A session that works on the thread that calls it.
fn session(environment: &Environment, bytes: &[u8]) -> ort::Result<Session> {
    Session::builder(environment)?
        .with_log_level(LogLevel::Fatal)?
        .with_optimization_level(GraphOptimizationLevel::All)?
        // What is folded is computed while loading, outside the limit of memory.
        .with_disabled_optimizers("ConstantFolding")?
        .with_env_allocators()?
        .with_flush_to_zero()?
        .with_deterministic_compute(true)?
        .with_inter_threads(1)?
        .with_intra_threads(1)?
        .commit_from_memory(bytes)
}

/// The tensors of a run by their names. `[frames, knobs]` are the columns of the first two.
fn inputs<'a>(
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

/// A tensor of batch 1, as often as the batch says.
fn spread(one: &[f32], shape: &[usize], batch_dim: Option<usize>, batch: usize) -> Vec<f32> {
    let inner: usize = batch_dim.map_or(one.len(), |dim| shape[dim + 1..].iter().product());
    one.chunks_exact(inner).flat_map(|part| part.repeat(batch)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_spread_along_its_batch() {
        assert_eq!(spread(&[1.0, 2.0, 3.0, 4.0], &[2, 1, 2], Some(1), 2), [1.0, 2.0, 1.0, 2.0, 3.0, 4.0, 3.0, 4.0]);
        assert_eq!(spread(&[1.0, 2.0], &[1, 2], Some(0), 3), [1.0, 2.0, 1.0, 2.0, 1.0, 2.0]);
        assert_eq!(spread(&[1.0, 2.0], &[1, 2], None, 1), [1.0, 2.0]);
    }

    #[test]
    fn the_program_knows_its_own_file() {
        assert_eq!(own_file().unwrap(), std::env::current_exe().unwrap().canonicalize().unwrap());
    }

    #[test]
    fn what_is_no_library_is_an_error_of_one_line() {
        let error = choose(&["/nowhere/libonnxruntime.so.1".into(), std::env::current_exe().unwrap()]).unwrap_err();
        assert!(error.contains("/nowhere/libonnxruntime.so.1") && error.lines().count() == 1, "{error}");
    }
}
