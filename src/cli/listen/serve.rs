//! `isotherm listen serve`: a panel of listeners in their browsers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::http::Uri;
use axum::http::uri::Scheme;
use clap::{Arg, ArgMatches, Command, value_parser};

use super::{
    Request, check_rungs, option, parse_protocol, parse_request, protocol_arguments, refuse_flags, rung_argument,
    setup_arguments, text,
};
use crate::cli::record::interrupt_flag;
use crate::cli::{Failure, examples, parse_integer, print_line};
use crate::listen::{LOG, MOST_LISTENERS, PANEL, Panel, PanelError, SoundSource, TestSetup, power_lines};
use crate::serve::Server;

/// The port without --port.
const PORT: &str = "8765";

pub fn command() -> Command {
    Command::new("serve")
        .about("Serves a test to a panel of listeners, who take it in their browsers; or goes on with a panel that was left")
        .arg(
            Arg::new("session")
                .required(true)
                .value_name("SESSION")
                .value_parser(value_parser!(PathBuf))
                .help("A new folder for the panel, which gets a session for each listener; or that of a panel that was left"),
        )
        .args(setup_arguments())
        .arg(rung_argument())
        .args(protocol_arguments())
        .arg(listeners_argument())
        .arg(option("port", "PORT", "The port; 0 takes any that is free").default_value(PORT))
        .arg(
            option("bind", "ADDRESS", "The address of this machine that browsers reach; without it, those on this machine alone")
                .value_parser(value_parser!(IpAddr))
                .default_value("127.0.0.1"),
        )
        .arg(option("url", "URL", "The address by which browsers reach it, if it is another one, such as that of an HTTPS proxy"))
        .after_help(examples(&[
            "isotherm listen serve panel --a 'saturator drive=24' --b 'neural model=twin.nam' --sound riff.wav --to 8 --listeners 6",
            "isotherm listen serve panel --a 'saturator drive=24' --b dry --sound riff.wav --question threshold --listeners 6",
            "isotherm listen serve panel",
            "isotherm listen serve panel --bind 192.168.1.20 --port 8000",
            "isotherm listen serve panel --url https://lab.example",
        ]))
}

/// The flag of the number of listeners, which is fixed when a panel is made.
fn listeners_argument() -> Arg {
    option("listeners", "COUNT", "Number of listeners, each of whom gets a link").default_value("1")
}

pub fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let path = matches.get_one::<PathBuf>("session").cloned().unwrap_or_default();
    let port = parse_integer("port", text(matches, "port"), 0, u16::MAX.into())? as u16;
    let bind = matches.get_one::<IpAddr>("bind").copied().unwrap_or(Ipv4Addr::LOCALHOST.into());
    let url = matches.get_one::<String>("url").map(|url| parse_url(url)).transpose()?;
    let names = url.iter().map(|(_, name)| name.clone()).collect();
    let panel = open_panel(matches, &path)?;
    let report = |line: &str| eprintln!("isotherm: {line}");
    let server = Server::bind(panel, SocketAddr::new(bind, port), names, report).map_err(Failure::failed)?;
    let url = url.map_or_else(|| format!("http://{}", reached_at(server.address())), |(url, _)| url);
    print_panel(&server, &url);
    server.run(&interrupt_flag()).map_err(Failure::failed)?;
    print_line("The server has ended. Every answer is on the disk; the same SESSION goes on.");
    Ok(())
}

/// Reads the address of a proxy: returns it without a slash at its end, and its host name.
fn parse_url(url: &str) -> Result<(String, String), Failure> {
    let none = || Failure::Usage(format!("--url: '{url}' is no address of a server; expected one such as https://lab.example"));
    let uri: Uri = url.parse().map_err(|_| none())?;
    let is_web = uri.scheme().is_some_and(|scheme| *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS);
    let host =
        uri.host().filter(|host| is_web && !host.is_empty() && uri.path() == "/" && uri.query().is_none()).ok_or_else(none)?;
    Ok((url.trim_end_matches('/').into(), host.into()))
}

/// Opens the panel of a folder, or makes one there.
fn open_panel(matches: &ArgMatches, path: &Path) -> Result<Panel, Failure> {
    if path.join(PANEL).is_file() {
        refuse_flags(matches, &[setup_arguments(), protocol_arguments(), vec![rung_argument(), listeners_argument()]].concat())?;
        return Panel::open(path).map_err(Failure::failed);
    }
    if path.join(LOG).is_file() {
        return Err(Failure::Failed(format!(
            "{}: the session of one listener; expected a new folder, or that of a panel with {PANEL}",
            path.display()
        )));
    }
    let listeners = parse_integer("listeners", text(matches, "listeners"), 1, MOST_LISTENERS)?;
    let protocol = parse_protocol(matches)?;
    let Request { audio, sides, rungs, range, control, .. } = parse_request(matches)?;
    check_rungs(&protocol, &rungs)?;
    let setup = TestSetup { protocol, sides, source: SoundSource::Loop, range, control, listener: String::new(), rungs };
    Panel::create(path, setup, Arc::new(audio), listeners).map_err(|error| {
        if let PanelError::Gates(gates) = &error {
            gates.iter().for_each(|gate| print_line(format_args!("{} {}", super::mark(gate.passed), gate.text)));
        }
        Failure::failed(error)
    })
}

/// Prints what is served, to whom, and what to beware of.
fn print_panel(server: &Server, url: &str) {
    let (panel, address) = (server.panel(), server.address());
    panel.notes().iter().for_each(print_line);
    power_lines(&panel.configuration().setup.protocol).iter().for_each(print_line);
    if !address.ip().is_loopback() {
        print_line(format_args!(
            "Warning: other machines reach this server at {}. Links, answers and sounds go over the network as they are (HTTP): whoever \
             can read it can take a listener's place. Use a network that you trust, or an HTTPS proxy with --url.",
            address.ip()
        ));
    }
    for link in panel.links() {
        let state = if link.is_bound { " (opened)" } else { "" };
        print_line(format_args!("listener {}: {url}/#{}{state}", link.listener, link.token));
    }
    print_line(format_args!("panel: {}", panel.path().display()));
    print_line("Give each listener one link. Ctrl-C ends the server; nothing is lost by it.");
}

/// The address for links: that of the server, or one of this machine if the server has all of them.
fn reached_at(address: SocketAddr) -> String {
    if !address.ip().is_unspecified() {
        return address.to_string();
    }
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let is_wanted = |ip: &IpAddr| !ip.is_loopback() && ip.is_ipv4();
    let ip = interfaces.iter().map(if_addrs::Interface::ip).find(is_wanted).unwrap_or(Ipv4Addr::LOCALHOST.into());
    SocketAddr::new(ip, address.port()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_proxy_is_a_scheme_and_a_host() {
        let read = |url: &str| parse_url(url).map_err(|_| ());
        assert_eq!(read("https://lab.example/"), Ok(("https://lab.example".into(), "lab.example".into())));
        assert_eq!(read("http://lab.example:8000"), Ok(("http://lab.example:8000".into(), "lab.example".into())));
        for url in ["lab.example", "ftp://lab.example", "https://lab.example/panel", "https://lab.example/?a", "https://", ""] {
            assert_eq!(read(url), Err(()), "{url}");
        }
    }
}
