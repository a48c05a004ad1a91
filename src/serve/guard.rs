//! The guard before all routes: names by which the server may be called, pages that may ask, and headers that every response has.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{self, HeaderName};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::{Failure, Shared};

/// Folder of the routes that are for scripts.
const API: &str = "/api/";

/// Headers of every response. Nothing is stored, guessed, framed, or loaded from elsewhere, and no address is told to another page.
const HEADERS: [(&str, &str); 7] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
    ),
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];

/// The names by which browsers may reach the server.
#[derive(Debug)]
pub(super) struct Guard {
    names: Vec<String>,
}

impl Guard {
    /// A guard that lets through `localhost`, addresses and `names`.
    pub fn new(names: Vec<String>) -> Self {
        Self { names }
    }

    /// Checks who is asked and who asks.
    ///
    /// A page of another host cannot read answers, but one whose name is turned to this machine after it was loaded (DNS rebinding)
    /// would count as the same host. It calls the server by its own name, never by an address; so other names are refused.
    fn check(&self, method: &Method, path: &str, headers: &HeaderMap) -> Result<(), Failure> {
        let refused = |line: String| Err(Failure::new(StatusCode::FORBIDDEN, "other-origin", line));
        let mut hosts = headers.get_all(header::HOST).iter();
        let host = match (hosts.next().and_then(|host| host.to_str().ok()), hosts.next()) {
            (Some(host), None) => host,
            _ => return Err(Failure::new(StatusCode::BAD_REQUEST, "malformed", "no Host header, or several; expected one")),
        };
        let is_known = |authority: Authority| {
            let name = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
            let is_listed = |known: &String| known.eq_ignore_ascii_case(&name);
            !authority.as_str().contains('@')
                && (name.parse::<IpAddr>().is_ok() || name.eq_ignore_ascii_case("localhost") || self.names.iter().any(is_listed))
        };
        if !host.parse().is_ok_and(is_known) {
            let line = "this server is not known by that name; expected an address, localhost, or the one of --url";
            return Err(Failure::new(StatusCode::MISDIRECTED_REQUEST, "other-host", line));
        }
        let is_own = |origin: &HeaderValue| {
            let own = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
            own.is_some_and(|(scheme, asking)| ["http", "https"].contains(&scheme) && asking.eq_ignore_ascii_case(host))
        };
        match headers.get(header::ORIGIN) {
            Some(origin) if !is_own(origin) => {
                return refused("a page of another origin asks; expected this server's own".into());
            }
            None if method == Method::POST => return refused("no Origin header; expected this server's own page".into()),
            _ => {}
        }
        // A link in a mail may lead to the page, but nothing but the page may ask for the rest.
        let site = headers.get("sec-fetch-site").and_then(|site| site.to_str().ok());
        if path.starts_with(API) && site.is_some_and(|site| site != "same-origin") {
            return refused(format!("a request from '{}'; expected this server's own page", site.unwrap_or_default()));
        }
        Ok(())
    }
}

/// Lets a request through if the guard does, and gives every response its headers.
pub(super) async fn check(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let mut response = match shared.guard.check(request.method(), request.uri().path(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(failure) => failure.into_response(),
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The status of a request with a host and perhaps an origin; 200 if it goes through.
    fn status(method: Method, host: &str, origin: Option<&str>, site: Option<&str>) -> u16 {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(host).unwrap());
        let more = [(header::ORIGIN, origin), (HeaderName::from_static("sec-fetch-site"), site)];
        for (name, value) in more.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            headers.insert(name, HeaderValue::from_str(value).unwrap());
        }
        let guard = Guard::new(vec!["lab.example".into()]);
        guard.check(&method, "/api/step", &headers).map_or_else(|failure| failure.status.as_u16(), |()| 200)
    }

    #[test]
    fn only_known_names_and_the_own_page_come_through() {
        for host in ["127.0.0.1:8765", "localhost:1", "[::1]:8765", "192.168.1.7", "LAB.example", "lab.example:443"] {
            assert_eq!(status(Method::GET, host, None, None), 200, "{host}");
            let own = format!("http://{host}");
            assert_eq!(status(Method::POST, host, Some(&own), Some("same-origin")), 200, "{host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "", "a b", "evil@127.0.0.1", "[::1"] {
            assert_ne!(status(Method::GET, host, None, None), 200, "{host}");
        }
        for origin in ["null", "http://evil.example", "http://127.0.0.1:1", "ftp://127.0.0.1:8765", "127.0.0.1:8765"] {
            assert_eq!(status(Method::POST, "127.0.0.1:8765", Some(origin), None), 403, "{origin}");
            assert_eq!(status(Method::GET, "127.0.0.1:8765", Some(origin), None), 403, "{origin}");
        }
        assert_eq!(status(Method::POST, "127.0.0.1:8765", None, None), 403, "a POST without an origin");
        for site in ["cross-site", "same-site", "none"] {
            assert_eq!(status(Method::GET, "127.0.0.1:8765", None, Some(site)), 403, "{site}");
        }
    }
}
