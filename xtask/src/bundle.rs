//! The plug-in in the forms that hosts load.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::process::{cargo, lines, target_dir};
use crate::{Outcome, only_flag, onnxruntime, root, shown};

/// Libraries that the standalone window links and a plug-in must not.
const STANDALONE_LIBRARIES: [&str; 2] = ["libasound.so", "libjack.so"];

/// The name of the profile that the bundler is told.
const STAGE: &str = "bundle-stage";

/// How a bundle is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Build {
    /// For use.
    Release,
    /// With debug assertions; it aborts when the audio thread allocates.
    Dev,
}

impl Build {
    /// The options of `cargo build`. Without default features the standalone window stays out.
    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Release => &["--release", "--no-default-features", "--features", "plugin"],
            Self::Dev => &["--profile", "bundle-dev", "--no-default-features", "--features", "plugin,assert-allocs"],
        }
    }

    fn folder(self) -> &'static str {
        match self {
            Self::Release => "bundled",
            Self::Dev => "bundled-dev",
        }
    }
}

/// Freshly built bundles.
pub struct Bundles {
    pub clap: PathBuf,
    pub vst3: PathBuf,
    /// What belongs beside the CLAP, where that is a single file.
    pub beside_clap: Option<PathBuf>,
}

pub fn task(options: &[String]) -> Outcome {
    let build = if only_flag("bundle", options, "--dev")? { Build::Dev } else { Build::Release };
    let bundles = bundle(build)?;
    println!("{}\n{}", shown(&bundles.clap), shown(&bundles.vst3));
    Ok(())
}

/// Builds the plug-in's library and bundles exactly that file. Older bundles are gone before the build begins, so a failed build
/// leaves none.
///
/// # Errors
/// If it does not build, or does not export what hosts look for.
pub fn bundle(build: Build) -> Outcome<Bundles> {
    let target = target_dir()?;
    let folder = target.join(build.folder());
    remove(&folder)?;
    let library = build_library(build)?;
    let runtime = onnxruntime::get(&target);

    // The bundler takes what lies in the folder of a profile, whenever it was built and with whatever features, and also takes
    // programs along. So it is shown a folder that holds nothing but the library just built.
    let home = match build {
        Build::Release => target,
        // Not the folder of the profile: this one is removed, and what was built stays.
        Build::Dev => target.join("staging"),
    };
    let stage = home.join(STAGE);
    remove(&stage)?;
    fs::create_dir_all(&stage)?;
    let name = library.file_name().ok_or("the library has no name")?;
    fs::copy(&library, stage.join(name)).map_err(|e| format!("{}: {e}", library.display()))?;
    // `bundler.toml` is looked for where the bundler runs.
    let here = std::env::current_dir()?;
    std::env::set_current_dir(root())?;
    let bundled = nice_plug_xtask::bundle(&home, "isotherm", &["--profile".into(), STAGE.into()], false);
    std::env::set_current_dir(here)?;
    bundled.map_err(|e| format!("{e:#}"))?;
    remove(&stage)?;
    if build == Build::Dev {
        fs::rename(home.join("bundled"), &folder)?;
        remove(&home)?;
    }

    let mut bundles = Bundles { beside_clap: None, clap: folder.join("Isotherm.clap"), vst3: folder.join("Isotherm.vst3") };
    for path in [&bundles.clap, &bundles.vst3] {
        if !path.exists() {
            return Err(format!("{} was not made: the library exports no such plug-in", path.display()).into());
        }
    }
    match runtime {
        Ok(runtime) => {
            for path in [&bundles.clap, &bundles.vst3] {
                let beside = onnxruntime::carry(&runtime, &module_folder(path)?)?;
                if path.is_file() {
                    bundles.beside_clap = Some(beside);
                }
            }
        }
        Err(e) => println!("the bundles come without ONNX Runtime and play no .onnx models; `cargo xtask setup` gets it ({e})"),
    }
    Ok(bundles)
}

/// The folder of a bundle in which the library is that a host loads.
fn module_folder(bundle: &Path) -> Outcome<PathBuf> {
    if bundle.is_file() {
        return Ok(bundle.parent().ok_or("the bundle is in no folder")?.to_owned());
    }
    let contents = fs::read_dir(bundle.join("Contents"))?.flatten().map(|entry| entry.path()).filter(|path| path.is_dir());
    let holds = |folder: &PathBuf| {
        let mut files = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        files.any(|file| file.is_file() && file.file_stem().is_some_and(|stem| stem == "Isotherm"))
    };
    let mut folders = contents.filter(holds);
    folders.next().ok_or_else(|| format!("{} holds no library", bundle.display()).into())
}

/// Returns the file that cargo says is the plug-in's library.
fn build_library(build: Build) -> Outcome<PathBuf> {
    let mut command = cargo(["build", "--package", "isotherm", "--lib", "--message-format", "json-render-diagnostics"]);
    command.args(build.options());
    let mut library = None;
    let status = lines(&mut command, |line| library = library_of(line).or(library.take()))?;
    let library = library.filter(|_| status.success()).ok_or_else(|| format!("the plug-in does not build ({status})"))?;
    if cfg!(target_os = "linux") {
        check_standalone_is_out(&library)?;
    }
    Ok(library)
}

/// The library that a message of cargo announces, if it announces the plug-in's.
fn library_of(message: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(message).ok()?;
    let is_plugin = message["reason"] == "compiler-artifact"
        && message["target"]["name"] == "isotherm"
        && message["target"]["crate_types"].as_array()?.iter().any(|kind| kind == "cdylib");
    let files = message["filenames"].as_array().filter(|_| is_plugin)?.iter().filter_map(Value::as_str);
    files.map(PathBuf::from).find(|file| file.extension().is_some_and(|e| e == std::env::consts::DLL_EXTENSION))
}

fn check_standalone_is_out(library: &Path) -> Outcome {
    let bytes = fs::read(library)?;
    for name in STANDALONE_LIBRARIES {
        if bytes.windows(name.len()).any(|window| window == name.as_bytes()) {
            return Err(format!("{} holds the standalone window: it names {name}", library.display()).into());
        }
    }
    Ok(())
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
    fn onnx_runtime_goes_beside_the_library_that_a_host_loads() {
        let home = std::env::temp_dir().join(format!("isotherm-bundle-{}", std::process::id()));
        remove(&home).unwrap();
        let (clap, vst3, runtime) = (home.join("Isotherm.clap"), home.join("Isotherm.vst3"), home.join("runtime"));
        let module = vst3.join("Contents/x86_64-linux");
        for folder in [&module, &vst3.join("Contents/Resources"), &runtime] {
            fs::create_dir_all(folder).unwrap();
        }
        fs::write(&clap, "").unwrap();
        fs::write(module.join("Isotherm.so"), "").unwrap();
        for name in [onnxruntime::LIBRARY, "onnxruntime-LICENSE.txt", "onnxruntime-ThirdPartyNotices.txt"] {
            fs::write(runtime.join(name), "").unwrap();
        }
        for (bundle, beside) in [(&clap, &home), (&vst3, &module)] {
            assert_eq!(&module_folder(bundle).unwrap(), beside);
            let folder = onnxruntime::carry(&runtime.join(onnxruntime::LIBRARY), beside).unwrap();
            assert_eq!(folder, beside.join("Isotherm"));
            assert_eq!(fs::read_dir(folder).unwrap().count(), 3);
        }
        remove(&home).unwrap();
    }

    #[test]
    fn only_the_plug_ins_library_is_taken() {
        let message = |name: &str, kind: &str| {
            let file = format!("/t/{}isotherm{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
            serde_json::json!({
                "reason": "compiler-artifact",
                "target": { "name": name, "crate_types": [kind, "rlib"] },
                "filenames": ["/t/libisotherm.rlib", file],
            })
            .to_string()
        };
        assert!(library_of(&message("isotherm", "cdylib")).is_some());
        assert_eq!(library_of(&message("isotherm", "lib")), None);
        assert_eq!(library_of(&message("other", "cdylib")), None);
        assert_eq!(library_of("no json"), None);
    }
}
