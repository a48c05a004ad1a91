//! Builds the plug-in and lays it out as hosts load it: a CLAP file, a VST3 folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{cargo, command_line, json_strings, run, run_with_lines, target_dir};
use crate::{Outcome, only_flag, onnxruntime, root, shown};

/// The package whose library is the plug-in.
const PACKAGE: &str = "isotherm-plugin";

/// The name of the plug-in's library.
const PLUGIN: &str = "isotherm_plugin";

/// The package whose library is the native part of the Python package.
const PYTHON_PACKAGE: &str = "isotherm-python";

/// The name of that library.
const PYTHON: &str = "isotherm_native";

/// The file that says how the bundles are named.
const NAMES: &str = "bundler.toml";

/// Libraries that the standalone window links and a plug-in must not.
const STANDALONE_LIBRARIES: [&str; 2] = ["libasound.so", "libjack.so"];

/// Functions that hosts look for: CLAP's and VST3's.
const ENTRIES: [&str; 2] = ["clap_entry", "GetPluginFactory"];

/// The beginning of the message of the allocator that aborts when the audio thread allocates.
const ABORT: &str = "Memory allocation of ";

/// The way a bundle is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Build {
    /// For use.
    Release,
    /// With debug assertions; it aborts when the audio thread allocates.
    Dev,
    /// As `Dev`, built together with all tests, which share its packages.
    Tests,
}

impl Build {
    /// The options of `cargo build`.
    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Release => &["--release", "--package", PACKAGE],
            Self::Dev => &["--package", PACKAGE],
            Self::Tests => &["--workspace", "--lib", "--tests"],
        }
    }

    /// The profile's folder, relative to the target folder.
    fn profile_folder(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Dev | Self::Tests => "debug",
        }
    }

    /// The bundles' folder, relative to the target folder.
    fn bundle_folder(self) -> &'static str {
        match self {
            Self::Release => "bundled",
            Self::Dev | Self::Tests => "bundled-dev",
        }
    }
}

/// Freshly built bundles.
pub struct Bundles {
    pub clap: PathBuf,
    pub vst3: PathBuf,
    /// The folder that belongs beside the CLAP where that is a single file.
    pub beside_clap: Option<PathBuf>,
    /// The native library of the Python package, if it was built along.
    pub native: Option<PathBuf>,
}

pub fn task(options: &[String]) -> Outcome {
    let build = if only_flag("bundle", options, "--dev")? { Build::Dev } else { Build::Release };
    let bundles = bundle(build)?;
    println!("{}\n{}", shown(&bundles.clap), shown(&bundles.vst3));
    Ok(())
}

/// Builds the plug-in's library and bundles that file. Older bundles are removed before the build begins, so a failed build
/// leaves none.
///
/// # Errors
/// If it does not build, or does not export the functions that hosts call.
pub fn bundle(build: Build) -> Outcome<Bundles> {
    let target = target_dir()?;
    let folder = target.join(build.bundle_folder());
    remove(&folder)?;
    let (library, native) = build_plugin(build, &target)?;
    let runtime = onnxruntime::get(&target);
    let name = bundle_name()?;
    let clap = assemble(&library, &folder, &format!("{name}.clap"), Form::of_clap())?;
    let vst3 = assemble(&library, &folder, &format!("{name}.vst3"), Form::Bundle)?;
    let mut bundles = Bundles { beside_clap: None, clap, vst3, native };
    match runtime {
        Ok(runtime) => {
            for path in [&bundles.clap, &bundles.vst3] {
                let beside = onnxruntime::copy_beside(&runtime, &module_folder(path)?)?;
                if path.is_file() {
                    bundles.beside_clap = Some(beside);
                }
            }
        }
        Err(e) => println!("the bundles come without ONNX Runtime and play no .onnx models; `cargo xtask setup` gets it ({e})"),
    }
    Ok(bundles)
}

/// Returns the name of the bundles as [`NAMES`] says it.
fn bundle_name() -> Outcome<String> {
    let text = fs::read_to_string(root().join(NAMES)).map_err(|e| format!("{NAMES}: {e}"))?;
    let own = text.split_once(&format!("[{PACKAGE}]")).map(|(_, rest)| rest.split('[').next().unwrap_or(rest));
    let line = own.and_then(|lines| lines.lines().find_map(|line| line.trim().strip_prefix("name")));
    let name = line.and_then(|line| line.split('"').nth(1));
    Ok(name.ok_or_else(|| format!("{NAMES}: [{PACKAGE}] has no line name = \"...\""))?.to_owned())
}

/// The layout in which hosts load a plug-in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// The library itself.
    File,
    /// A folder that holds the library at a path that depends on the system.
    Bundle,
}

impl Form {
    /// On macOS every plug-in is a folder.
    fn of_clap() -> Self {
        if cfg!(target_os = "macos") { Self::Bundle } else { Self::File }
    }
}

/// Copies the library into a bundle, or to a file, named `name` in `folder`. Returns its path.
fn assemble(library: &Path, folder: &Path, name: &str, form: Form) -> Outcome<PathBuf> {
    let bundle = folder.join(name);
    let module = match form {
        Form::File => bundle.clone(),
        Form::Bundle => bundle.join("Contents").join(module_path(name)),
    };
    let parent = module.parent().ok_or("a bundle is in no folder")?;
    fs::create_dir_all(parent).map_err(|e| format!("{}: {e}", shown(parent)))?;
    fs::copy(library, &module).map_err(|e| format!("{}: {e}", shown(&module)))?;
    if cfg!(target_os = "macos") {
        let stem = name.split('.').next().unwrap_or(name);
        fs::write(bundle.join("Contents/PkgInfo"), "BNDL????")?;
        fs::write(bundle.join("Contents/Info.plist"), property_list(stem))?;
        // Apple's processors run only signed code; an ad-hoc signature (`-`) is enough.
        run(Command::new("codesign").args(["--force", "--sign", "-"]).arg(&bundle))?;
    }
    Ok(bundle)
}

/// Returns the path of the library in the bundle `name`, relative to `Contents`.
fn module_path(name: &str) -> PathBuf {
    let stem = name.split('.').next().unwrap_or(name);
    let machine = std::env::consts::ARCH;
    if cfg!(target_os = "macos") {
        Path::new("MacOS").join(stem)
    } else if cfg!(windows) {
        let machine = if machine == "aarch64" { "arm_64" } else { machine };
        Path::new(&format!("{machine}-win")).join(name)
    } else {
        Path::new(&format!("{machine}-linux")).join(format!("{stem}.so"))
    }
}

/// Returns the `Info.plist` that macOS needs in a bundle.
fn property_list(name: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let rows = [
        ("CFBundleExecutable", name),
        ("CFBundleIdentifier", "com.isotherm.plugin"),
        ("CFBundleName", name),
        ("CFBundleDisplayName", name),
        ("CFBundlePackageType", "BNDL"),
        ("CFBundleSignature", "????"),
        ("CFBundleShortVersionString", version),
        ("CFBundleVersion", version),
    ];
    let rows: String = rows.map(|(key, value)| format!("  <key>{key}</key><string>{value}</string>\n")).concat();
    let head = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \
                \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n";
    format!("{head}<plist version=\"1.0\"><dict>\n{rows}  <key>NSHighResolutionCapable</key><true/>\n</dict></plist>\n")
}

/// Returns the folder that holds a bundle's library.
fn module_folder(bundle: &Path) -> Outcome<PathBuf> {
    let name = bundle.file_name().and_then(|name| name.to_str()).ok_or("a bundle has no name")?;
    let module = if bundle.is_file() { bundle.to_owned() } else { bundle.join("Contents").join(module_path(name)) };
    Ok(module.parent().ok_or("a bundle is in no folder")?.to_owned())
}

/// Builds the plug-in's library, and with the tests that of the Python package. Returns both.
///
/// # Errors
/// If it does not build, lacks the functions that hosts call, or links the standalone window.
fn build_plugin(build: Build, target: &Path) -> Outcome<(PathBuf, Option<PathBuf>)> {
    let [plugin, native] = build_libraries(build, build.options(), target, [PLUGIN, PYTHON])?;
    let plugin = plugin.ok_or("cargo named no library of the plug-in")?;
    check(&plugin, build)?;
    Ok((plugin, native))
}

/// Builds the native library of the Python package alone, in the development profile, and returns it.
///
/// # Errors
/// If it does not build.
pub fn native_library(target: &Path) -> Outcome<PathBuf> {
    let [library] = build_libraries(Build::Dev, &["--package", PYTHON_PACKAGE], target, [PYTHON])?;
    Ok(library.ok_or("cargo named no library of the Python package")?)
}

/// Builds and returns the files that cargo says are the libraries of these names.
fn build_libraries<const N: usize>(
    build: Build,
    options: &[&str],
    target: &Path,
    names: [&str; N],
) -> Outcome<[Option<PathBuf>; N]> {
    // A cdylib has no hash in its name: one with other features (`cargo build --workspace`) lies at the same path, and cargo
    // would take it for this one. So the library is linked again; its packages are not rebuilt.
    for name in names {
        let file = format!("{}{name}{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
        for folder in ["", "deps"] {
            remove_file(&target.join(build.profile_folder()).join(folder).join(&file))?;
        }
    }
    let mut command = cargo(["build", "--message-format", "json-render-diagnostics"]);
    command.args(options);
    let mut libraries = names.map(|_| None);
    let status = run_with_lines(&mut command, |line| {
        for (library, name) in libraries.iter_mut().zip(names) {
            *library = library_of(line, name).or(library.take());
        }
    })?;
    if status.success() { Ok(libraries) } else { Err(format!("`{}` failed ({status})", command_line(&command)).into()) }
}

/// Returns the path of the shared library `name` if this line of cargo's JSON output announces it.
fn library_of(message: &str, name: &str) -> Option<PathBuf> {
    let strings = json_strings(message);
    let is_it = strings.starts_with(&["reason".into(), "compiler-artifact".into()])
        && strings.windows(2).any(|pair| pair[0] == "name" && pair[1] == name)
        && strings.iter().any(|text| text == "cdylib");
    let mut files = strings.into_iter().filter(|_| is_it).map(PathBuf::from);
    files.find(|file| file.extension().is_some_and(|e| e == std::env::consts::DLL_EXTENSION))
}

/// Checks that the library exports the functions that hosts call, does not link the standalone window, and has the aborting
/// allocator only in development builds.
fn check(library: &Path, build: Build) -> Outcome {
    let bytes = fs::read(library).map_err(|e| format!("{}: {e}", shown(library)))?;
    let names = |name: &str| bytes.windows(name.len()).any(|window| window == name.as_bytes());
    if let Some(entry) = ENTRIES.iter().find(|entry| !names(entry)) {
        return Err(format!("{} is no plug-in: it exports no {entry}", shown(library)).into());
    }
    if names(ABORT) != (build != Build::Release) {
        let has = if build == Build::Release { "has" } else { "lacks" };
        return Err(format!("{} {has} the allocator that aborts on the audio thread", shown(library)).into());
    }
    match STANDALONE_LIBRARIES.iter().find(|name| names(name)) {
        Some(name) => Err(format!("{} holds the standalone window: it names {name}", shown(library)).into()),
        None => Ok(()),
    }
}

fn remove_file(file: &Path) -> Outcome {
    match fs::remove_file(file) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(format!("cannot remove {}: {e}", file.display()).into()),
        _ => Ok(()),
    }
}

fn remove(folder: &Path) -> Outcome {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(format!("cannot remove {}: {e}", folder.display()).into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_has_the_library_and_onnx_runtime_where_hosts_look() {
        let home = std::env::temp_dir().join(format!("isotherm-bundle-{}", std::process::id()));
        remove(&home).unwrap();
        let (library, runtime) = (home.join("library"), home.join("runtime"));
        fs::create_dir_all(&runtime).unwrap();
        fs::write(&library, "code").unwrap();
        for name in [onnxruntime::LIBRARY, "onnxruntime-LICENSE.txt", "onnxruntime-ThirdPartyNotices.txt"] {
            fs::write(runtime.join(name), "").unwrap();
        }
        let clap = assemble(&library, &home, "Isotherm.clap", Form::of_clap()).unwrap();
        let vst3 = assemble(&library, &home, "Isotherm.vst3", Form::Bundle).unwrap();
        if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            assert_eq!(fs::read_to_string(home.join("Isotherm.clap")).unwrap(), "code");
            assert_eq!(fs::read_to_string(home.join("Isotherm.vst3/Contents/x86_64-linux/Isotherm.so")).unwrap(), "code");
            assert_eq!(module_folder(&clap).unwrap(), home);
            assert_eq!(module_folder(&vst3).unwrap(), home.join("Isotherm.vst3/Contents/x86_64-linux"));
        }
        for bundle in [clap, vst3] {
            let folder = onnxruntime::copy_beside(&runtime.join(onnxruntime::LIBRARY), &module_folder(&bundle).unwrap()).unwrap();
            assert_eq!(fs::read_dir(folder).unwrap().count(), 3);
        }
        remove(&home).unwrap();
    }

    #[test]
    fn the_bundles_have_the_name_that_is_written_down() {
        assert_eq!(bundle_name().unwrap(), "Isotherm");
    }

    #[test]
    fn a_library_that_is_not_a_plug_in_or_links_too_much_is_refused() {
        let file = std::env::temp_dir().join(format!("isotherm-library-{}", std::process::id()));
        let error = |build: Build, names: &[&str]| {
            fs::write(&file, names.join("\0")).unwrap();
            check(&file, build).map_err(|e| e.to_string())
        };
        let [clap, vst3] = ENTRIES;
        assert_eq!(error(Build::Release, &[clap, vst3]), Ok(()));
        assert_eq!(error(Build::Dev, &[clap, vst3, ABORT]), Ok(()));
        assert!(error(Build::Release, &[clap]).unwrap_err().ends_with("it exports no GetPluginFactory"));
        assert!(error(Build::Release, &[clap, vst3, "libasound.so.2"]).unwrap_err().ends_with("it names libasound.so"));
        assert!(error(Build::Tests, &[clap, vst3]).unwrap_err().contains(" lacks the allocator"));
        assert!(error(Build::Release, &[clap, vst3, ABORT]).unwrap_err().contains(" has the allocator"));
        fs::remove_file(&file).unwrap();
    }

    #[test]
    fn only_the_plug_ins_library_is_taken() {
        let message = |name: &str, kind: &str| {
            let file = format!("/t/{}{name}{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
            format!(
                r#"{{"reason":"compiler-artifact","target":{{"kind":["{kind}"],"crate_types":["{kind}"],"name":"{name}","src_path":"/s/lib.rs"}},"filenames":["/t/lib{name}.rlib","{file}"]}}"#
            )
        };
        assert!(library_of(&message("isotherm_plugin", "cdylib"), PLUGIN).is_some_and(|file| file.starts_with("/t")));
        assert_eq!(library_of(&message("isotherm_plugin", "lib"), PLUGIN), None);
        assert_eq!(library_of(&message("isotherm_native", "cdylib"), PLUGIN), None);
        assert_eq!(library_of("no json", PLUGIN), None);
    }
}
