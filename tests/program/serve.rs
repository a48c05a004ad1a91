//! `isotherm listen serve`: its links, its lock, a kill, Ctrl-C.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::run::{isotherm, run_failing};

/// A server that is killed when this is dropped.
struct Server {
    child: Child,
    output: BufReader<ChildStdout>,
    /// The lines up to the last one before it serves.
    lines: Vec<String>,
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_isotherm"));
        let child = command.args(["listen", "serve"]).args(arguments).args(["--port", "0"]).stdout(Stdio::piped()).spawn();
        let mut child = child.unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut lines = Vec::new();
        while !lines.last().is_some_and(|line: &String| line.starts_with("Give each listener")) {
            let mut line = String::new();
            assert_ne!(output.read_line(&mut line).unwrap(), 0, "the program has ended: {lines:?}");
            lines.push(line.trim_end().into());
        }
        Self { child, output, lines }
    }

    /// The links: address, token, and what follows.
    fn links(&self) -> Vec<(String, String, String)> {
        let link = |line: &String| {
            let link = line.strip_prefix("listener ")?.split_once("http://")?.1;
            let (address, rest) = link.split_once("/#")?;
            let (token, state) = rest.split_at(32);
            Some((address.to_owned(), token.to_owned(), state.to_owned()))
        };
        self.lines.iter().filter_map(link).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Opens a link as a page does. Returns the answer.
fn open(address: &str, token: &str) -> String {
    let body = format!("{{\"token\":\"{token}\",\"secret\":\"{}\"}}", "5".repeat(64));
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!("Host: {address}\r\nOrigin: http://{address}\r\nContent-Type: application/json\r\nConnection: close\r\n");
    let length = body.len();
    stream.write_all(format!("POST /api/enter HTTP/1.1\r\n{head}Content-Length: {length}\r\n\r\n{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_panel_is_served_killed_served_again_and_ended_by_ctrl_c() {
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    let (sound, panel) = (path("riff.wav"), path("panel"));
    assert!(isotherm(&["generate", "guitar", &sound]).status.success());
    let new =
        [&panel, "--a", "saturator drive=24", "--b", "dry", "--sound", &sound, "--to", "1", "--trials", "10", "--listeners", "2"];
    let server = Server::start(&new);
    let links = server.links();
    assert_eq!(links.len(), 2, "{:?}", server.lines);
    assert!(links.iter().all(|(address, _, state)| address.starts_with("127.0.0.1:") && state.is_empty()), "{links:?}");
    assert!(!server.lines.iter().any(|line| line.starts_with("Warning")), "{:?}", server.lines);
    assert!(open(&links[0].0, &links[0].1).contains("\"stage\":\"sound-check\""));
    // SIGKILL, while a listener is there.
    drop(server);
    let log = std::fs::read_to_string(Path::new(&panel).join("listener-01/log.jsonl")).unwrap();
    assert_eq!(log.lines().count(), 2);

    let mut server = Server::start(&[&panel]);
    let again = server.links();
    let tokens = |links: &[(String, String, String)]| links.iter().map(|link| link.1.clone()).collect::<Vec<_>>();
    assert_eq!(tokens(&again), tokens(&links));
    assert_eq!([again[0].2.as_str(), again[1].2.as_str()], [" (opened)", ""]);
    let line = run_failing(&["listen", "serve", &panel], 1);
    assert!(line.contains("another program serves this panel"), "{line}");
    for flag in [["--a", "dry"], ["--trials", "20"], ["--listeners", "3"]] {
        let line = run_failing(&["listen", "serve", &panel, flag[0], flag[1]], 2);
        assert!(line.contains(flag[0]) && line.contains("cannot be changed"), "{line}");
    }
    assert!(open(&again[0].0, &again[0].1).contains("\"stage\":\"sound-check\""), "the same browser goes on");
    kill(Pid::from_raw(server.child.id().cast_signed()), Signal::SIGINT).unwrap();
    let mut rest = String::new();
    server.output.read_to_string(&mut rest).unwrap();
    assert!(server.child.wait().unwrap().success() && rest.contains("Every answer is on the disk"), "{rest}");

    let session = path("panel/listener-01");
    assert!(run_failing(&["listen", "serve", &session], 1).contains("the session of one listener"));
    assert!(run_failing(&["listen", "serve", &panel, "--port", "65536"], 2).contains("--port"));
    assert!(run_failing(&["listen", "serve", &panel, "--url", "lab.example"], 2).contains("--url: 'lab.example' is no address"));
    assert!(run_failing(&["listen", "serve", &panel, "--bind", "192.0.2.1", "--port", "0"], 1).contains("cannot be served"));
    let everywhere = Server::start(&[&panel, "--bind", "0.0.0.0"]);
    assert!(everywhere.lines.iter().any(|line| line.starts_with("Warning: other machines reach this server")));
}
