//! The server of a panel: hands a listening test to browsers over HTTP, and takes their answers.
//!
//! What is asked, played and written down is [`Panel`]'s. This room knows addresses, requests and limits, and has the page. The page
//! is three files in the program itself. It loads nothing from anywhere else, which its Content-Security-Policy enforces.

mod guard;
mod limit;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::compare::BASE_STYLE;
use crate::listen::{Panel, PanelStep, PanelView, Refusal};
use guard::Guard;
use limit::Limits;

/// The page, its script, and its style after [`BASE_STYLE`].
const PAGE: &str = include_str!("serve/page.html");
const SCRIPT: &str = include_str!("serve/page.js");
const STYLE: &str = include_str!("serve/page.css");

/// Most connections at a time; more are closed at once. A page has one to six.
const MOST_CONNECTIONS: usize = 512;
/// Largest body of a request in bytes: an answer with the most presses is half of it.
const MOST_BODY_BYTES: usize = 64 * 1024;
/// Bytes of a request's head that are read.
const HEAD_BYTES: usize = 16 * 1024;
/// Time for the head of a request, which is also the time that a connection may wait for its next request.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// Time for the body of a request.
const BODY_TIME: Duration = Duration::from_secs(10);
/// Time after which a connection ends whatever it does, so that a reader that never reads holds none for ever.
const CONNECTION_TIME: Duration = Duration::from_secs(1800);
/// Time between two looks at whether the server is to stop.
const STOP_TIME: Duration = Duration::from_millis(100);
/// Threads that run connections, and those that read and write files.
const THREADS: usize = 2;
const MOST_FILE_THREADS: usize = 8;

/// The reason why a panel cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be used.
    #[error("{address}: cannot be served ({source}); expected a free port (--port) on an address of this machine (--bind)")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The reason.
        source: io::Error,
    },
    /// The system has no threads for it.
    #[error("the server cannot start: {0}")]
    Start(io::Error),
}

/// A server that has its address and takes no requests yet.
pub struct Server {
    listener: std::net::TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// A function that is told of faults that no listener can mend, a line each.
type Report = Box<dyn Fn(&str) + Send + Sync>;

/// State that all requests share.
struct Shared {
    panel: Panel,
    guard: Guard,
    limits: Limits,
    report: Report,
}

impl Server {
    /// Takes an address; port 0 is any that is free. `names` are host names by which browsers may reach it, besides `localhost` and
    /// addresses. [control thread: does I/O]
    ///
    /// # Errors
    /// [`ServeError::Bind`].
    pub fn bind(
        panel: Panel,
        address: SocketAddr,
        names: Vec<String>,
        report: impl Fn(&str) + Send + Sync + 'static,
    ) -> Result<Self, ServeError> {
        let failed = |source| ServeError::Bind { address, source };
        let listener = std::net::TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let limits = Limits::new(panel.links().len());
        let shared = Arc::new(Shared { panel, guard: Guard::new(names), limits, report: Box::new(report) });
        Ok(Self { listener, address, shared })
    }

    /// The address. [any thread]
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The panel. [any thread]
    #[must_use]
    pub fn panel(&self) -> &Panel {
        &self.shared.panel
    }

    /// Serves until `stop` is true. Each answer was on the disk before it was acknowledged, so nothing has to be finished then.
    /// [control thread: blocks]
    ///
    /// # Errors
    /// [`ServeError::Start`].
    pub fn run(self, stop: &AtomicBool) -> Result<(), ServeError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .max_blocking_threads(MOST_FILE_THREADS)
            .thread_name("isotherm-serve")
            .enable_all()
            .build()
            .map_err(ServeError::Start)?;
        let served = runtime.block_on(self.accept(stop));
        // A download of a sound that nobody reads is not waited for; a line of a log is.
        runtime.shutdown_timeout(BODY_TIME);
        served
    }

    /// Takes connections until `stop` is true.
    async fn accept(self, stop: &AtomicBool) -> Result<(), ServeError> {
        let listener = TcpListener::from_std(self.listener).map_err(ServeError::Start)?;
        let router = routes(self.shared);
        let connections = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        while !stop.load(Ordering::Relaxed) {
            let stream = match timeout(STOP_TIME, listener.accept()).await {
                Ok(Ok((stream, _))) => stream,
                // The system has no file descriptors for a while.
                Ok(Err(_)) => {
                    tokio::time::sleep(STOP_TIME).await;
                    continue;
                }
                Err(_) => continue,
            };
            let Ok(permit) = connections.clone().try_acquire_owned() else { continue };
            // Without it, small answers wait for each other; nothing depends on it.
            let _ = stream.set_nodelay(true);
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIME)
                .max_buf_size(HEAD_BYTES)
                .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router.clone()));
            tokio::spawn(async move {
                // A connection that broke off is the browser's affair.
                let _ = timeout(CONNECTION_TIME, connection).await;
                drop(permit);
            });
        }
        Ok(())
    }
}

/// The routes.
fn routes(shared: Arc<Shared>) -> Router {
    let file = |kind: &'static str, text: String| get(move || async move { ([(header::CONTENT_TYPE, kind)], text) });
    Router::new()
        .route("/", file("text/html; charset=utf-8", PAGE.into()))
        .route("/page.js", file("text/javascript; charset=utf-8", SCRIPT.into()))
        .route("/page.css", file("text/css; charset=utf-8", [BASE_STYLE, STYLE].concat()))
        .route("/api/enter", post(enter))
        .route("/api/state", get(state))
        .route("/api/sound-check", post(check_sound))
        .route("/api/step", post(step))
        .route("/api/sounds/{id}", get(sound))
        .fallback(async || Failure::new(StatusCode::NOT_FOUND, "not-found", "no such page"))
        .method_not_allowed_fallback(async || Failure::new(StatusCode::METHOD_NOT_ALLOWED, "method", "not with this method"))
        .layer(from_fn_with_state(shared.clone(), guard::check))
        .with_state(shared)
}

/// A request that is refused: status, a word for the page, and a line for people.
#[derive(Debug)]
struct Failure {
    status: StatusCode,
    code: &'static str,
    line: String,
}

/// A failure as JSON.
#[derive(Serialize)]
struct FailureBody<'a> {
    code: &'a str,
    error: &'a str,
}

impl Failure {
    fn new(status: StatusCode, code: &'static str, line: impl Into<String>) -> Self {
        Self { status, code, line: line.into() }
    }

    /// Too many requests.
    fn busy() -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "busy", "too many requests; expected a few in a second")
    }
}

impl From<&Refusal> for Failure {
    fn from(refusal: &Refusal) -> Self {
        let (status, code) = match refusal {
            Refusal::UnknownLink => (StatusCode::FORBIDDEN, "unknown-link"),
            Refusal::Bound => (StatusCode::FORBIDDEN, "bound"),
            Refusal::OtherVisit => (StatusCode::UNAUTHORIZED, "other-visit"),
            Refusal::Malformed(_) => (StatusCode::BAD_REQUEST, "malformed"),
            Refusal::SoundCheck => (StatusCode::CONFLICT, "sound-check"),
            Refusal::Rate { .. } => (StatusCode::CONFLICT, "rate"),
            Refusal::OutOfTurn(_) => (StatusCode::CONFLICT, "out-of-turn"),
            Refusal::NoSound => (StatusCode::NOT_FOUND, "no-sound"),
            Refusal::NotWritten { .. } => (StatusCode::SERVICE_UNAVAILABLE, "not-written"),
            Refusal::Lost { .. } => (StatusCode::GONE, "lost"),
        };
        Self::new(status, code, refusal.to_string())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = json(&FailureBody { code: self.code, error: &self.line });
        *response.status_mut() = self.status;
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// A value as a response.
fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => ([(header::CONTENT_TYPE, "application/json")], bytes).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Reads the body of a request as JSON.
async fn read_body<T: DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<T, Failure> {
    let too_large = || {
        let line = format!("the request is too large, or broke off; expected at most {MOST_BODY_BYTES} bytes");
        Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "malformed", line)
    };
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().map(str::trim) != Some("application/json") {
        return Err(Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "malformed", "no JSON; expected application/json"));
    }
    let bytes = match timeout(BODY_TIME, to_bytes(body, MOST_BODY_BYTES)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(_)) => return Err(too_large()),
        Err(_) => return Err(Failure::new(StatusCode::REQUEST_TIMEOUT, "malformed", "the request took too long")),
    };
    let unreadable =
        |error: serde_json::Error| Failure::new(StatusCode::BAD_REQUEST, "malformed", format!("not understood: {error}"));
    serde_json::from_slice(&bytes).map_err(unreadable)
}

/// The visit that a request names.
fn visit_of(headers: &HeaderMap) -> Result<String, Failure> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    bearer.map(str::to_owned).ok_or_else(|| Failure::from(&Refusal::OtherVisit))
}

impl Shared {
    /// Counts a request of a listener, or of a stranger.
    fn count(&self, listener: Option<usize>) -> Result<(), Failure> {
        if self.limits.take(listener) { Ok(()) } else { Err(Failure::busy()) }
    }

    /// Counts a request of a visit.
    fn count_visit(&self, headers: &HeaderMap) -> Result<String, Failure> {
        let visit = visit_of(headers);
        let listener = visit.as_ref().ok().and_then(|visit| self.panel.listener_of_visit(visit));
        self.count(listener)?;
        visit
    }
}

/// Lets the panel do something on a thread that may wait for the disk.
async fn work<T: Send + 'static>(
    shared: Arc<Shared>,
    task: impl FnOnce(&Panel) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(move || {
        task(&shared.panel).map_err(|refusal| {
            refusal.detail().into_iter().for_each(|detail| (shared.report)(detail));
            Failure::from(&refusal)
        })
    });
    done.await.unwrap_or_else(|_| Err(Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "fault", "the server has a fault")))
}

/// Body of [`enter`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EnterBody {
    token: String,
    secret: String,
}

/// A visit that begins.
#[derive(Serialize)]
struct Entered {
    visit: String,
    #[serde(flatten)]
    view: PanelView,
}

/// Begins a visit.
async fn enter(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Body) -> Result<Response, Failure> {
    let EnterBody { token, secret } = match read_body(&headers, body).await {
        Ok(body) => body,
        Err(failure) => {
            shared.count(None)?;
            return Err(failure);
        }
    };
    shared.count(shared.panel.listener_of_token(&token))?;
    let browser = headers.get(header::USER_AGENT).and_then(|name| name.to_str().ok()).unwrap_or_default().to_owned();
    let (visit, view) = work(shared, move |panel| panel.enter(&token, &secret, &browser)).await?;
    Ok(json(&Entered { visit, view }))
}

/// The state of a listener's test.
async fn state(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Result<Response, Failure> {
    let visit = shared.count_visit(&headers)?;
    Ok(json(&work(shared, move |panel| panel.view(&visit)).await?))
}

/// Body of [`check_sound`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckBody {
    pulses: u8,
    sample_rate: f64,
}

/// Takes the answer to a sound check.
async fn check_sound(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Body) -> Result<Response, Failure> {
    let visit = shared.count_visit(&headers)?;
    let CheckBody { pulses, sample_rate } = read_body(&headers, body).await?;
    Ok(json(&work(shared, move |panel| panel.check_sound(&visit, pulses, sample_rate)).await?))
}

/// Takes a step.
async fn step(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Body) -> Result<Response, Failure> {
    let visit = shared.count_visit(&headers)?;
    let step: PanelStep = read_body(&headers, body).await?;
    Ok(json(&work(shared, move |panel| panel.act(&visit, &step)).await?))
}

/// Sends a sound.
async fn sound(State(shared): State<Arc<Shared>>, headers: HeaderMap, Path(id): Path<String>) -> Result<Response, Failure> {
    let visit = shared.count_visit(&headers)?;
    let sound = work(shared, move |panel| panel.sound(&visit, &id)).await?;
    let head = [(header::CONTENT_TYPE, HeaderValue::from_static("audio/wav")), (header::CONTENT_LENGTH, sound.bytes().into())];
    let pieces = futures_util::stream::iter(sound.map(Ok::<_, Infallible>));
    Ok((head, Body::from_stream(pieces)).into_response())
}
