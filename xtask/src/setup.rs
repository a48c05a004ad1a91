//! `cargo xtask setup`: finds the system packages that building and testing need, installs those that are missing, and gets ONNX
//! Runtime.

use std::ffi::OsStr;
use std::process::Command;

use crate::process::{find, run, succeeds, target_dir};
use crate::{Outcome, only_flag, shown};

/// The purpose that a package is needed for. Each purpose also needs the packages of those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// The plug-ins and the demo.
    Bundle,
    /// All programs: also the command line and the standalone window.
    Build,
    /// All tests but the longest.
    Test,
    /// Also the longest tests.
    Long,
}

/// The way to find out if a package is installed.
enum Probe {
    /// A program in `PATH`.
    Program(&'static str),
    /// A program in `PATH` whose name may end in its version number.
    Numbered(&'static str),
    /// A library that `pkg-config` knows; build scripts ask it.
    PkgConfig(&'static str),
    /// A shared library that is opened by name at run time.
    Library(&'static str),
    /// Mesa's OpenGL drivers, in or one below a library folder.
    Drivers,
    /// A plug-in of `libasound`, one below a library folder.
    AlsaPlugin(&'static str),
    /// A Python module.
    Python(&'static str),
}

struct Package {
    probe: Probe,
    purpose: Purpose,
    apt: &'static str,
    dnf: &'static str,
    pacman: &'static str,
    /// Empty where macOS has it, or where the tests do without it.
    brew: &'static str,
}

/// All packages. The plug-in needs nothing but a linker: baseview and x11rb open every library of X11 and OpenGL by name at
/// run time.
const PACKAGES: &[Package] = &[
    // The C compiler links Rust programs. Tests and benchmarks also compile a little C (criterion's `alloca`).
    Package {
        probe: Probe::Program("cc"),
        purpose: Purpose::Bundle,
        apt: "build-essential",
        dnf: "gcc",
        pacman: "base-devel",
        brew: "",
    },
    // The build scripts of alsa-sys and jack-sys call pkg-config.
    Package {
        probe: Probe::Program("pkg-config"),
        purpose: Purpose::Build,
        apt: "pkg-config",
        dnf: "pkgconf-pkg-config",
        pacman: "pkgconf",
        brew: "",
    },
    // ALSA opens devices; alsa-sys links it.
    Package {
        probe: Probe::PkgConfig("alsa"),
        purpose: Purpose::Build,
        apt: "libasound2-dev",
        dnf: "alsa-lib-devel",
        pacman: "alsa-lib",
        brew: "",
    },
    // JACK opens devices. It is opened by name at run time, but the build script of jack-sys insists on its headers.
    Package {
        probe: Probe::PkgConfig("jack"),
        purpose: Purpose::Build,
        apt: "libjack-jackd2-dev",
        dnf: "jack-audio-connection-kit-devel",
        pacman: "jack2",
        brew: "jack",
    },
    // Xvfb is a display without a screen, for the editor's tests.
    Package {
        probe: Probe::Program("Xvfb"),
        purpose: Purpose::Test,
        apt: "xvfb",
        dnf: "xorg-x11-server-Xvfb",
        pacman: "xorg-server-xvfb",
        brew: "",
    },
    // Mesa is OpenGL without a graphics card, for the editor's tests.
    Package {
        probe: Probe::Drivers,
        purpose: Purpose::Test,
        apt: "libgl1-mesa-dri",
        dnf: "mesa-dri-drivers",
        pacman: "mesa",
        brew: "",
    },
    // Libraries that the editor opens by name: GLX, EGL, Xlib over XCB, the keyboard's layout. A desktop has them all.
    Package {
        probe: Probe::Library("libGL.so.1"),
        purpose: Purpose::Test,
        apt: "libgl1",
        dnf: "libglvnd-glx",
        pacman: "libglvnd",
        brew: "",
    },
    Package {
        probe: Probe::Library("libEGL.so.1"),
        purpose: Purpose::Test,
        apt: "libegl1",
        dnf: "libglvnd-egl",
        pacman: "libglvnd",
        brew: "",
    },
    Package {
        probe: Probe::Library("libX11-xcb.so.1"),
        purpose: Purpose::Test,
        apt: "libx11-xcb1",
        dnf: "libX11-xcb",
        pacman: "libx11",
        brew: "",
    },
    Package {
        probe: Probe::Library("libxkbcommon-x11.so.0"),
        purpose: Purpose::Test,
        apt: "libxkbcommon-x11-0",
        dnf: "libxkbcommon-x11",
        pacman: "libxkbcommon-x11",
        brew: "",
    },
    // xdotool moves the mouse and `import` takes screenshots, for the editor's tests.
    Package {
        probe: Probe::Program("xdotool"),
        purpose: Purpose::Test,
        apt: "xdotool",
        dnf: "xdotool",
        pacman: "xdotool",
        brew: "",
    },
    Package {
        probe: Probe::Program("import"),
        purpose: Purpose::Test,
        apt: "imagemagick",
        dnf: "ImageMagick",
        pacman: "imagemagick",
        brew: "",
    },
    // jackd's dummy driver acts as a sound card with any number of channels.
    Package {
        probe: Probe::Program("jackd"),
        purpose: Purpose::Test,
        apt: "jackd2",
        dnf: "jack-audio-connection-kit",
        pacman: "jack2",
        brew: "jack",
    },
    // ALSA's plug-in for JACK makes that card an ALSA device, too.
    Package {
        probe: Probe::AlsaPlugin("libasound_module_pcm_jack.so"),
        purpose: Purpose::Test,
        apt: "libasound2-plugins",
        dnf: "alsa-plugins-jack",
        pacman: "alsa-plugins",
        brew: "",
    },
    // PipeWire is the JACK server of most desktops.
    Package {
        probe: Probe::Program("pipewire"),
        purpose: Purpose::Test,
        apt: "pipewire",
        dnf: "pipewire",
        pacman: "pipewire",
        brew: "",
    },
    Package {
        probe: Probe::Program("pw-metadata"),
        purpose: Purpose::Test,
        apt: "pipewire-bin",
        dnf: "pipewire-utils",
        pacman: "pipewire",
        brew: "",
    },
    Package {
        probe: Probe::Program("pw-jack"),
        purpose: Purpose::Test,
        apt: "pipewire-jack",
        dnf: "pipewire-jack-audio-connection-kit",
        pacman: "pipewire-jack",
        brew: "",
    },
    // sox reads and writes WAV files independently of this repository.
    Package { probe: Probe::Program("sox"), purpose: Purpose::Test, apt: "sox", dnf: "sox", pacman: "sox", brew: "sox" },
    // libsndfile reads and writes WAV files independently of this repository.
    Package {
        probe: Probe::Program("sndfile-info"),
        purpose: Purpose::Test,
        apt: "sndfile-programs",
        dnf: "libsndfile-utils",
        pacman: "libsndfile",
        brew: "libsndfile",
    },
    // ffmpeg reads and writes WAV files independently of this repository.
    Package {
        probe: Probe::Program("ffmpeg"),
        purpose: Purpose::Test,
        apt: "ffmpeg",
        dnf: "ffmpeg-free",
        pacman: "ffmpeg",
        brew: "ffmpeg",
    },
    // pedalboard, a host of VST3 plug-ins, is a Python module.
    Package {
        probe: Probe::Program("python3"),
        purpose: Purpose::Test,
        apt: "python3",
        dnf: "python3",
        pacman: "python",
        brew: "python",
    },
    Package {
        probe: Probe::Python("ensurepip"),
        purpose: Purpose::Test,
        apt: "python3-venv",
        dnf: "python3",
        pacman: "python",
        brew: "python",
    },
    // Chromium opens the page of a comparison.
    Package {
        probe: Probe::Program("chromium"),
        purpose: Purpose::Test,
        apt: "chromium",
        dnf: "chromium",
        pacman: "chromium",
        brew: "",
    },
    // Ardour, a host that passes on only parameters that can be automated.
    Package {
        probe: Probe::Numbered("ardour"),
        purpose: Purpose::Long,
        apt: "ardour",
        dnf: "ardour8",
        pacman: "ardour",
        brew: "",
    },
];

pub fn task(options: &[String]) -> Outcome {
    if only_flag("setup", options, "--build-only")? {
        return ensure(Purpose::Build);
    }
    for_tests(Purpose::Test)
}

/// Makes sure that the packages and ONNX Runtime are there for the tests.
///
/// # Errors
/// As [`ensure`], and if ONNX Runtime cannot be downloaded.
pub fn for_tests(purpose: Purpose) -> Outcome {
    ensure(purpose)?;
    let library = crate::onnxruntime::get(&target_dir()?)?;
    println!("setup: ONNX Runtime is {}", shown(&library));
    Ok(())
}

/// Makes sure that the packages for `purpose` are installed.
///
/// # Errors
/// If one is missing and cannot be installed; the message says what to type.
pub fn ensure(purpose: Purpose) -> Outcome {
    if !cfg!(target_os = "linux") {
        if purpose != Purpose::Bundle {
            println!("setup: building needs nothing more on this system; tests that need Linux are left out");
        }
        return Ok(());
    }
    let missing = missing(purpose);
    if missing.is_empty() {
        if purpose != Purpose::Bundle {
            println!("setup: all packages are there");
        }
        return Ok(());
    }
    let apt = names(&missing, |p| p.apt);
    match (find("apt-get"), root_prefix()) {
        (Some(_), Some(prefix)) => install(prefix, &apt),
        _ => Err(instructions(&missing).into()),
    }
}

fn missing(purpose: Purpose) -> Vec<&'static Package> {
    PACKAGES.iter().filter(|package| package.purpose <= purpose && !is_installed(package)).collect()
}

fn is_installed(package: &Package) -> bool {
    match package.probe {
        Probe::Program(name) => find(name).is_some(),
        Probe::Numbered(name) => find(name).is_some() || (0..100).any(|version| find(&format!("{name}{version}")).is_some()),
        Probe::PkgConfig(name) => succeeds(Command::new("pkg-config").args(["--exists", name])),
        Probe::Library(name) => library_folders().any(|folder| folder.join(name).exists()),
        Probe::Drivers => library_folders().any(|folder| folder.join("dri/swrast_dri.so").exists() || has_gallium(&folder)),
        Probe::AlsaPlugin(name) => library_folders().any(|folder| folder.join("alsa-lib").join(name).exists()),
        Probe::Python(module) => succeeds(Command::new("python3").args(["-c", &format!("import {module}")])),
    }
}

/// Mesa 24.2 and later keep all drivers in one library, `libgallium-VERSION.so`.
fn has_gallium(folder: &std::path::Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name()).any(|name| name.to_string_lossy().starts_with("libgallium-"))
}

/// Returns the folders in which distributions keep shared libraries.
fn library_folders() -> impl Iterator<Item = std::path::PathBuf> {
    let multiarch = format!("{}-linux-gnu", std::env::consts::ARCH);
    let own = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let own: Vec<_> = std::env::split_paths(&own).collect();
    own.into_iter().chain([format!("/usr/lib/{multiarch}"), "/usr/lib64".into(), "/usr/lib".into()].map(Into::into))
}

/// Returns the words before a command that make it run as root, or `None` if this user cannot without a password.
fn root_prefix() -> Option<&'static [&'static str]> {
    let id = Command::new("id").arg("-u").output().ok()?;
    if id.stdout.trim_ascii() == b"0" {
        Some(&[])
    } else if succeeds(Command::new("sudo").args(["-n", "true"])) {
        Some(&["sudo", "-n"])
    } else {
        None
    }
}

fn install(prefix: &[&str], packages: &[&str]) -> Outcome {
    println!("setup: installing {}", packages.join(" "));
    // jackd2 would ask whether it may have real-time priority.
    let environment = ["env", "DEBIAN_FRONTEND=noninteractive"];
    let apt = |arguments: &[&str]| {
        let words: Vec<&str> = [prefix, &environment, &["apt-get"], arguments].concat();
        run(Command::new(words[0]).args(words[1..].iter().map(OsStr::new)))
    };
    apt(&["update", "-q"])?;
    apt(&[&["install", "-q", "-y", "--no-install-recommends"], packages].concat())
}

fn instructions(missing: &[&Package]) -> String {
    let apt = names(missing, |p| p.apt).join(" ");
    let mut text = format!("packages are missing: {apt}\nInstall them with the line for your system, then run this again:");
    let managers = [
        ("sudo apt-get install -y --no-install-recommends", apt),
        ("sudo dnf install -y", names(missing, |p| p.dnf).join(" ")),
        ("sudo pacman -S --needed", names(missing, |p| p.pacman).join(" ")),
        ("brew install", names(missing, |p| p.brew).join(" ")),
    ];
    for (manager, packages) in managers.iter().filter(|(_, packages)| !packages.is_empty()) {
        text.push_str(&format!("\n  {manager} {packages}"));
    }
    text
}

/// Returns each package name once, in the order of the list.
fn names(packages: &[&Package], name: fn(&Package) -> &'static str) -> Vec<&'static str> {
    let mut names = Vec::new();
    for package in packages {
        let name = name(package);
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_instructions_name_every_package_once_per_system() {
        let all: Vec<&Package> = PACKAGES.iter().collect();
        let text = instructions(&all);
        assert_eq!(text.lines().count(), 6);
        for line in text.lines().skip(2) {
            let words: Vec<&str> = line.split_whitespace().collect();
            assert!(words.iter().all(|word| words.iter().filter(|w| w == &word).count() == 1), "{line}");
        }
    }

    #[test]
    fn a_plug_in_needs_a_linker_and_nothing_else() {
        let needed = PACKAGES.iter().filter(|p| p.purpose == Purpose::Bundle).map(|p| p.apt);
        assert_eq!(needed.collect::<Vec<_>>(), ["build-essential"]);
    }

    #[test]
    fn only_the_longest_tests_need_ardour() {
        let needs = |purpose| PACKAGES.iter().any(|p| p.purpose <= purpose && p.apt == "ardour");
        assert!(needs(Purpose::Long) && !needs(Purpose::Test));
    }
}
