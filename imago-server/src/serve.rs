//! The whole server, from its configuration to its end.

use std::error::Error;
use std::io;
use std::sync::Arc;

use imago_core::sandbox::Sandbox;
use imago_core::storage::{Stores, StoresBuilder};
use imago_core::{Converter, Limits};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::config::Config;
use crate::http;
use crate::store::SqliteStore;

/// Serves on this listener until `shutdown`, and then ends in good order.
///
/// The caller owns the socket and the signal. While running actions end, requests are still answered: jobs can be
/// followed, new ones are refused. Then open requests are, waiting polls at once.
pub async fn run(listener: TcpListener, shutdown: impl Future<Output = ()>, app: Arc<App>) {
    tokio::join!(
        app.work(shutdown),
        http::run(listener, app.closing(), Arc::clone(&app)),
    );
}

/// Serves by this configuration until SIGTERM or SIGINT. A second one of them ends it at once: then the answer is false.
pub async fn serve(config: Config) -> Result<bool, Box<dyn Error + Send + Sync>> {
    // From here on a signal is not lost, and does not kill either.
    let mut signals = Signals::new()?;
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        log::warn!(error:% = error; "could not raise the limit of open files");
    }
    let named = |what: String| {
        move |error: io::Error| io::Error::new(error.kind(), format!("{what}: {error}"))
    };
    tokio::fs::create_dir_all(&config.data)
        .await
        .map_err(named(format!(
            "can't create the data folder `{}`",
            config.data.display()
        )))?;
    let converter = converter(&config, stores(&config).build()?).await?;
    let fences = converter.fences();
    if fences.are_complete() {
        log::info!("{fences}");
    } else {
        log::warn!("{fences}: an image that breaks a decoder may do harm");
    }
    if config.tokens.is_empty() && !config.listen.ip().is_loopback() {
        log::warn!(
            "no tokens are configured (`tokens`): everyone who reaches this server may use it"
        );
    }
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(named(format!("can't listen on {}", config.listen)))?;
    log::info!(
        version = env!("CARGO_PKG_VERSION"), data:% = config.data.display(), threads = converter.threads();
        "listening on http://{}", listener.local_addr()?
    );

    let (file, limit) = (config.data.join("jobs.sqlite"), config.limits.queue);
    let store = tokio::task::spawn_blocking(move || SqliteStore::open(&file, limit)).await?;
    let store = store.map_err(|error| {
        let source = std::error::Error::source(&error).map(ToString::to_string);
        io::Error::other(format!(
            "can't open the job store: {}",
            source.unwrap_or_default()
        ))
    })?;
    let app = Arc::new(App::new(config, Arc::new(store), Arc::new(converter))?);
    let stop = CancellationToken::new();
    let shutdown = async {
        let name = signals.next().await;
        log::info!("got {name}; a second one stops at once");
        stop.cancel();
        signals.next().await
    };
    let mut ended = std::pin::pin!(run(listener, stop.cancelled(), app));
    tokio::select! {
        () = &mut ended => {
            log::info!("stopped");
            Ok(true)
        }
        name = shutdown => {
            log::warn!("got {name} again: stopped at once");
            Ok(false)
        }
    }
}

/// The stores of this configuration, with credentials and endpoints from the environment.
pub(crate) fn stores(config: &Config) -> StoresBuilder {
    let mut builder = Stores::builder()
        .environment(std::env::vars())
        .allow(config.allow.iter().map(String::as_str))
        .http_private(config.http_private);
    for (url, options) in &config.stores {
        let options = options
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().to_owned()));
        builder = builder.bucket(url, options);
    }
    for root in &config.file_root {
        builder = builder.file_root(root);
    }
    builder
}

/// The converter of this configuration.
pub(crate) async fn converter(config: &Config, stores: Stores) -> imago_core::Result<Converter> {
    let mut limits = Limits::default();
    let set = &config.limits;
    limits.timeout = set.max_timeout;
    limits.memory = set.memory.map_or(0, |memory| memory.as_u64());
    limits.source_bytes = set.source.as_u64();
    limits.output_bytes = set.output.as_u64();
    limits.scratch_bytes = set.scratch.as_u64();
    limits.width = set.width;
    limits.height = set.height;
    limits.pixels = set.pixels;
    limits.frames = set.frames;
    limits.frame_pixels = set.frame_pixels;
    limits.operations = set.operations;
    limits.nesting = set.nesting;
    limits.text = set.text;
    let defaults = &config.defaults;
    let mut builder = Converter::builder()
        .stores(stores)
        .limits(limits)
        .animations(defaults.animations)
        .cmyk_to_rgb(defaults.cmyk)
        .upright(defaults.upright)
        .native(config.native)
        .fidelity(defaults.fidelity.into())
        .ghostscript(config.ghostscript)
        .sandbox(sandbox(config));
    if let Some(file) = &defaults.cmyk_profile {
        builder = builder.cmyk_profile(file);
    }
    if let Some(threads) = config.threads {
        builder = builder.threads(threads);
    }
    if config.cache_size.as_u64() > 0 {
        builder = builder.cache(config.data.join("cache"), config.cache_size.as_u64());
    }
    builder.build().await
}

/// What of the environment the processes for conversions see: where libraries, and ImageMagick's and the fonts' tables,
/// are. Credentials are not among it.
const ENVIRONMENT: &[&str] = &[
    "DYLD_LIBRARY_PATH",
    "FONTCONFIG_FILE",
    "FONTCONFIG_PATH",
    "LD_LIBRARY_PATH",
    "MAGICK_CODER_MODULE_PATH",
    "MAGICK_CONFIGURE_PATH",
    "MAGICK_HOME",
    "RUST_BACKTRACE",
    "XDG_DATA_DIRS",
];

/// Where the conversions of this configuration run.
fn sandbox(config: &Config) -> Sandbox {
    if !config.sandbox {
        return Sandbox::in_process();
    }
    let seen = ENVIRONMENT.iter();
    let seen = seen.filter_map(|name| Some((name, std::env::var_os(name)?)));
    Sandbox::processes()
        .required(config.require_sandbox)
        .environment(seen)
}

/// The signals that ask the server to end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// Never looked at. That it is there turns a file that may not grow from the process's death into an error.
    _file_size: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            _file_size: signal(SignalKind::from_raw(libc::SIGXFSZ))?,
        })
    }

    /// The name of the next one.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
