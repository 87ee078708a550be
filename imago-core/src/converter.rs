//! The whole public path: an [`Action`] goes in, an [`Outcome`] comes out.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};

use crate::engine::{Conversion, Engine, Format, Limits, Stop, magick};
use crate::error::{Error, ErrorKind, Result};
use crate::operation::Pipeline;
use crate::storage::{Cache, CacheStatus, Location, ObjectHeaders, Source, Stores};

/// One image to convert: where it is read from, what is done to it, and where the result goes.
///
/// Nothing is checked until it is [planned](Converter::plan) or [converted](Converter::convert).
#[derive(Debug, Clone, Default)]
pub struct Action {
    infile: String,
    outfile: String,
    operations: Vec<String>,
    mimetype: Option<String>,
    headers: Vec<(String, String)>,
    timeout: Option<Duration>,
    not_before: Option<Instant>,
}

impl Action {
    /// Reads `infile` and writes `outfile`, both URLs such as `s3://bucket/key`.
    ///
    /// A `[…]` behind `infile` selects frames or a region, as in ImageMagick's own `file[0]`, `file[0-2]` and
    /// `file[600x400+10+10]`. A key that itself ends in brackets is written with an empty `[]` behind it.
    pub fn new(infile: impl Into<String>, outfile: impl Into<String>) -> Self {
        Self {
            infile: infile.into(),
            outfile: outfile.into(),
            ..Self::default()
        }
    }

    /// What is done to the image, in order; nothing but a change of format when there are none.
    #[must_use]
    pub fn operations<S: Into<String>>(mut self, operations: impl IntoIterator<Item = S>) -> Self {
        self.operations = operations.into_iter().map(Into::into).collect();
        self
    }

    /// The media type that the result is stored with, to the letter. Default: the output format's registered one.
    ///
    /// It also says which format that is, where `outfile` has no extension that does.
    #[must_use]
    pub fn mimetype(mut self, mimetype: impl Into<String>) -> Self {
        self.mimetype = Some(mimetype.into());
        self
    }

    /// A header to store the result with: `Cache-Control`, `Content-Disposition`, `Content-Encoding`,
    /// `Content-Language`, or `x-amz-meta-…` for metadata of the user's on any store.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// How long the conversion may take. Default and maximum: [`Limits::timeout`].
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The source is read as it was at this time or later. Default: when the conversion is called for.
    ///
    /// Actions that were asked for together and name the same time share one request for the same source.
    #[must_use]
    pub fn not_before(mut self, time: Instant) -> Self {
        self.not_before = Some(time);
        self
    }
}

/// An action that has been checked: everything that can be known to be wrong before the first byte is fetched, is not.
#[derive(Debug, Clone)]
pub struct Plan {
    source: Location,
    selector: Option<String>,
    target: Location,
    pipeline: Pipeline,
    format: Format,
    mimetype: String,
    headers: ObjectHeaders,
    timeout: Duration,
}

impl Plan {
    /// The steps that would run.
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// The format that the result would be in.
    pub fn format(&self) -> &Format {
        &self.format
    }
}

/// What came of an action that succeeded.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Outcome {
    /// The format that the result is in.
    pub format: Format,
    /// The width of its first image, in pixels.
    pub width: usize,
    /// The height of its first image, in pixels.
    pub height: usize,
    /// How many images it holds.
    pub frames: usize,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its entity tag, as the store gave it when it was stored, quotes included.
    pub e_tag: Option<String>,
    /// The URLs that were written.
    pub files: Vec<String>,
    /// The media type that it was stored with.
    pub mimetype: String,
    /// Where its source came from.
    pub cache: CacheStatus,
    /// What converted it.
    pub engine: Engine,
    /// The texts that the operations produced, and ImageMagick's warnings, a line each.
    pub output: String,
    /// How long it took.
    pub timings: Timings,
}

/// How long the parts of an action took.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Timings {
    /// From the store or the cache to memory.
    pub fetch: Duration,
    /// On the pool, without the wait for it.
    pub convert: Duration,
    /// From memory to the store.
    pub store: Duration,
}

/// Converts images. Cheap to clone; clones share the pool, the stores and the cache.
#[derive(Clone)]
pub struct Converter(Arc<Inner>);

struct Inner {
    pool: rayon::ThreadPool,
    stores: Stores,
    cache: Option<Cache>,
    limits: Limits,
}

/// Builds a [`Converter`].
#[derive(Debug, Default)]
pub struct Builder {
    threads: usize,
    stores: Option<Stores>,
    cache: Option<(PathBuf, u64)>,
    limits: Limits,
}

impl Builder {
    /// How many images are converted at once. Default, and what 0 means: as many as there are processors.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Where images lie. Default: [`Stores::builder`] as it comes, without credentials and without `file://`.
    #[must_use]
    pub fn stores(mut self, stores: Stores) -> Self {
        self.stores = Some(stores);
        self
    }

    /// Keeps sources below this directory, up to so many bytes in all. Default: sources are fetched each time.
    #[must_use]
    pub fn cache(mut self, directory: impl Into<PathBuf>, max_bytes: u64) -> Self {
        self.cache = Some((directory.into(), max_bytes));
        self
    }

    /// What a conversion may use.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Starts ImageMagick, the pool and the cache.
    pub async fn build(self) -> Result<Converter> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(self.threads)
            .thread_name(|index| format!("imago-{index}"))
            .build()
            .map_err(|error| {
                Error::new(ErrorKind::Internal, "the pool of threads can't start")
                    .with_source(error)
            })?;
        let stores = match self.stores {
            Some(stores) => stores,
            None => Stores::builder().build()?,
        };
        let cache = match self.cache {
            Some((directory, max_bytes)) => Some(Cache::open(&directory, max_bytes).await?),
            None => None,
        };
        magick::set_limits(&self.limits);
        Ok(Converter(Arc::new(Inner {
            pool,
            stores,
            cache,
            limits: self.limits,
        })))
    }
}

impl Converter {
    /// A builder with the defaults.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// How many images are converted at once.
    pub fn threads(&self) -> usize {
        self.0.pool.current_num_threads()
    }

    /// Checks an action without fetching anything, and says everything that is wrong with it.
    ///
    /// Each error's [pointer](Error::pointer) names the member of the action: `/operations/0`, `/infile`.
    pub fn plan(&self, action: &Action) -> Result<Plan, Vec<Error>> {
        let mut errors = Vec::new();
        let mut note = |pointer: &str, error: Error| errors.push(error.at(pointer));

        let source = split_selector(&action.infile).and_then(|(url, selector)| {
            let location = self.locate(url)?;
            Ok((location, selector.map(str::to_owned)))
        });
        let source = source.map_err(|error| note("/infile", error)).ok();
        let target = self
            .locate(&action.outfile)
            .map_err(|error| note("/outfile", error))
            .ok();
        let pipeline = Pipeline::from_operations(&action.operations).map_err(|errors| {
            for error in errors {
                note("/operations", error);
            }
        });
        let format = target.as_ref().and_then(|target| {
            output_format(target, action.mimetype.as_deref())
                .map_err(|(pointer, error)| note(pointer, error))
                .ok()
        });
        // Where there is no format either, its error is noted already, and this only stands in.
        let mimetype = action.mimetype.clone().unwrap_or_else(|| {
            let registered = format.as_ref().map(Format::mime_type);
            registered.unwrap_or("application/octet-stream").to_owned()
        });
        let mut headers = ObjectHeaders::new(&mimetype)
            .map_err(|error| note("/mimetype", error))
            .ok();
        if let Some(headers) = &mut headers {
            for (name, value) in &action.headers {
                if let Err(error) = headers.insert(name, value) {
                    note(&format!("/headers/{}", escape_pointer(name)), error);
                }
            }
        }
        let timeout = action.timeout.unwrap_or(self.0.limits.timeout);
        if timeout > self.0.limits.timeout {
            note(
                "/timeout",
                Error::new(
                    ErrorKind::LimitExceeded,
                    format!(
                        "a conversion may take at most {} s, but {} s are asked for",
                        self.0.limits.timeout.as_secs_f64(),
                        timeout.as_secs_f64()
                    ),
                ),
            );
        }
        match (source, target, pipeline, format, headers) {
            (Some((source, selector)), Some(target), Ok(pipeline), Some(format), Some(headers))
                if errors.is_empty() =>
            {
                Ok(Plan {
                    source,
                    selector,
                    target,
                    pipeline,
                    format,
                    mimetype,
                    headers,
                    timeout,
                })
            }
            _ => Err(errors),
        }
    }

    /// Fetches, converts and stores one image.
    ///
    /// An action that is wrong in several places fails with the first of its errors; [`plan`](Self::plan) has all. When
    /// it fails, nothing is left at `outfile` that was not there before. A future that is dropped cancels the conversion.
    pub async fn convert(&self, action: &Action) -> Result<Outcome> {
        let plan = self.plan(action).map_err(|errors| {
            errors.into_iter().next().unwrap_or_else(|| {
                Error::new(ErrorKind::Internal, "a plan failed without a reason")
            })
        })?;
        let not_before = action.not_before.unwrap_or_else(Instant::now);
        let mut timings = Timings::default();

        let started = Instant::now();
        let source = self.fetch(&plan.source, not_before).await?;
        timings.fetch = started.elapsed();

        let (location, format) = (plan.source.clone(), plan.format.clone());
        let (converted, took) = self
            .run(plan.timeout, move |stop| {
                magick::convert(&Conversion {
                    source: &source.bytes,
                    extension: location.extension(),
                    selector: plan.selector.as_deref(),
                    steps: plan.pipeline.steps(),
                    format: &plan.format,
                    stop,
                })
                .map(|converted| (converted, source.cache))
            })
            .await;
        let (converted, cache) = converted
            .map_err(|error| error.context(&format!("can't convert `{}`", plan.source)))?;
        timings.convert = took;

        let started = Instant::now();
        let bytes = converted.bytes.len() as u64;
        let stored = self
            .0
            .stores
            .put(&plan.target, converted.bytes, &plan.headers)
            .await?;
        timings.store = started.elapsed();
        Ok(Outcome {
            format,
            width: converted.width,
            height: converted.height,
            frames: converted.frames,
            bytes,
            e_tag: stored.e_tag,
            files: vec![action.outfile.clone()],
            mimetype: plan.mimetype,
            cache,
            engine: Engine::Magick,
            output: converted.output,
            timings,
        })
    }

    /// Converts many images, as many at once as keep the pool busy, and yields each outcome with the action's index as
    /// it comes.
    ///
    /// Actions on the same source share one request for it, where there is a cache.
    pub fn convert_all<'a>(
        &'a self,
        actions: &'a [Action],
    ) -> impl Stream<Item = (usize, Result<Outcome>)> + 'a {
        let asked = Instant::now();
        stream::iter(actions.iter().enumerate())
            .map(move |(index, action)| async move {
                let mut action = action.clone();
                action.not_before.get_or_insert(asked);
                (index, self.convert(&action).await)
            })
            // While some are on the pool, others are on their way to and from the stores.
            .buffer_unordered(2 * self.threads())
    }

    /// Converts one image in memory.
    pub async fn convert_bytes(
        &self,
        source: &[u8],
        pipeline: &Pipeline,
        format: Format,
    ) -> Result<Bytes> {
        let source = Bytes::copy_from_slice(source);
        let pipeline = pipeline.clone();
        let (converted, _) = self
            .run(self.0.limits.timeout, move |stop| {
                magick::convert(&Conversion {
                    source: &source,
                    extension: None,
                    selector: None,
                    steps: pipeline.steps(),
                    format: &format,
                    stop,
                })
            })
            .await;
        Ok(converted
            .map_err(|error| error.context("can't convert the image"))?
            .bytes)
    }

    fn locate(&self, url: &str) -> Result<Location> {
        let location = Location::parse(url)?;
        self.0.stores.check(&location)?;
        Ok(location)
    }

    async fn fetch(&self, location: &Location, not_before: Instant) -> Result<Source> {
        let max_bytes = self.0.limits.source_bytes;
        match &self.0.cache {
            Some(cache) => {
                cache
                    .fetch(&self.0.stores, location, not_before, max_bytes)
                    .await
            }
            None => self.0.stores.fetch(location, max_bytes).await,
        }
    }

    /// Runs work on the pool, and says how long it took. The clock of its time-out starts when a thread takes it up.
    async fn run<T: Send + 'static>(
        &self,
        timeout: Duration,
        work: impl FnOnce(&Stop) -> Result<T> + Send + 'static,
    ) -> (Result<T>, Duration) {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let stop = Arc::new(Stop::after(timeout));
        let _canceled = CancelOnDrop(Arc::clone(&stop));
        self.0.pool.spawn(move || {
            let started = Instant::now();
            stop.start();
            // A panic on the pool would end the process, and take every other conversion with it.
            let result = catch_unwind(AssertUnwindSafe(|| work(&stop))).unwrap_or_else(|_| {
                Err(Error::new(
                    ErrorKind::Internal,
                    "the conversion hit a bug in Imago; the log has its place",
                ))
            });
            // Nobody waits any more where the future was dropped.
            drop(sender.send((result, started.elapsed())));
        });
        receiver.await.unwrap_or_else(|_| {
            let error = Error::new(ErrorKind::Internal, "the pool dropped the conversion");
            (Err(error), Duration::ZERO)
        })
    }
}

impl fmt::Debug for Converter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Converter")
            .field("threads", &self.threads())
            .field("limits", &self.0.limits)
            .finish_non_exhaustive()
    }
}

/// Ends the conversion when the future that waits for it is dropped, and does nothing to one that has ended.
struct CancelOnDrop(Arc<Stop>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Splits `file[0]` into the URL and what stands between the brackets.
fn split_selector(infile: &str) -> Result<(&str, Option<&str>)> {
    let Some((url, selector)) = infile
        .strip_suffix(']')
        .and_then(|infile| infile.rsplit_once('['))
    else {
        return Ok((infile, None));
    };
    if selector.is_empty() {
        return Ok((url, None));
    }
    // Frames `0`, `0-2`, `-1`, `0,3`; a size `50%`, `600x400`; a region `600x400+10+10`.
    let plausible = selector
        .chars()
        .all(|c| c.is_ascii_digit() || "-,x+%!<>^@.".contains(c.to_ascii_lowercase()));
    if plausible {
        Ok((url, Some(selector)))
    } else {
        Err(Error::new(
            ErrorKind::InvalidUrl,
            format!(
                "`[{selector}]` selects nothing; expected frames as in `[0]` or `[0-2]`, or a region as in `[600x400+10+10]`; a key that itself ends in `[{selector}]` is written with `[]` behind it"
            ),
        ))
    }
}

/// The format of the result: what the extension of `outfile` says, else what the media type does.
fn output_format(
    target: &Location,
    mimetype: Option<&str>,
) -> Result<Format, (&'static str, Error)> {
    let extension = target.extension();
    if let Some(format) = extension.and_then(Format::from_extension) {
        return format.map_err(|error| ("/outfile", error));
    }
    if let Some(format) = mimetype.and_then(Format::from_mime_type) {
        return format.map_err(|error| ("/mimetype", error));
    }
    let (pointer, message) = match (mimetype, extension) {
        (Some(mimetype), _) => (
            "/mimetype",
            format!("no image format has the media type `{mimetype}`; expected one such as `image/jpeg`, or an `outfile` that ends in one such as `.jpg`"),
        ),
        (None, Some(extension)) => (
            "/outfile",
            format!("no image format has the extension `.{extension}`; expected one such as `.jpg`, or a `mimetype` such as `image/jpeg`"),
        ),
        (None, None) => (
            "/outfile",
            "the output format is not said; expected an extension such as `.jpg`, or a `mimetype` such as `image/jpeg`".to_owned(),
        ),
    };
    Err((pointer, Error::new(ErrorKind::InvalidFormat, message)))
}

/// A member's name within a JSON pointer ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901#section-3)).
fn escape_pointer(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
