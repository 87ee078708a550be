//! The whole public path: an [`Action`] goes in, an [`Outcome`] comes out.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};

use crate::admission;
use crate::engine::magick::runtime;
use crate::engine::{
    self, Engine, Fidelity, Format, Identity, Input, Limits, Progress, colour, generator,
    ghostscript,
};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::operation::{Pipeline, Step};
use crate::pool::{Pool, Task};
use crate::sandbox::{Fences, Sandbox, Workers};
use crate::sharing::{Decoding, Share, Shared, Sharing};
use crate::storage::{Cache, CacheStatus, Location, ObjectHeaders, Source, Stores};
use crate::target::Target;

/// From so many renditions on that need not be exact, one decode of all pixels is quicker than a smaller one for each.
const WORTH_ALL: usize = 4;

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
    fidelity: Option<Fidelity>,
    not_before: Option<Instant>,
    progress: Option<Progress>,
    renditions: Option<usize>,
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

    /// How near the result has to be. Default: [`Builder::fidelity`].
    #[must_use]
    pub fn fidelity(mut self, fidelity: Fidelity) -> Self {
        self.fidelity = Some(fidelity);
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

    /// How many actions there are, with this one, that read the same source as it was at the [same time](Self::not_before)
    /// and come soon. Default: one.
    ///
    /// Those that are under way at once share its bytes and its pixels in any case. By this it is known that more are to
    /// come, and both are [kept](Builder::sharing) for them.
    #[must_use]
    pub fn renditions(mut self, actions: usize) -> Self {
        self.renditions = Some(actions);
        self
    }

    /// Tells this how far the conversion is.
    #[must_use]
    pub fn progress(mut self, progress: Progress) -> Self {
        self.progress = Some(progress);
        self
    }
}

/// An action that has been checked: everything that can be known to be wrong before the first byte is fetched, is not.
#[derive(Debug, Clone)]
pub struct Plan {
    source: Origin,
    /// What the pipeline reads beside it, in order.
    reads: Vec<Origin>,
    target: Target,
    pipeline: Pipeline,
    format: Format,
    mimetype: String,
    headers: ObjectHeaders,
    timeout: Duration,
    fidelity: Fidelity,
    engine: Engine,
}

/// Where images come from.
#[derive(Debug, Clone)]
enum Origin {
    Object {
        location: Location,
        /// What stands between the brackets of `file[0]`.
        selector: Option<String>,
    },
    /// One of ImageMagick's generators: `gradient:red-blue`.
    Generator(String),
}

impl Origin {
    /// What the name of an object ends in, where all of it is read.
    fn extension(&self) -> Option<&str> {
        match self {
            Self::Object {
                location,
                selector: None,
            } => location.extension(),
            _ => None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object { location, .. } => location.fmt(f),
            Self::Generator(generator) => f.write_str(generator),
        }
    }
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

    /// What would convert it, as far as that can be told without the source.
    ///
    /// A source may yet turn out to be more than the native engine is sure of; then ImageMagick does all of it.
    pub fn engine(&self) -> Engine {
        self.engine
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
    /// Whose pixels it was made from.
    pub decoding: Decoding,
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
    pool: Pool,
    fences: Fences,
    stores: Stores,
    cache: Option<Cache>,
    /// `None` where each action is on its own.
    sharing: Option<Sharing>,
    limits: Limits,
    animations: bool,
    cmyk: Option<Bytes>,
    upright: bool,
    native: bool,
    fidelity: Fidelity,
}

/// What an action finds of its source's pixels.
struct Pixels {
    shared: Option<Arc<Shared>>,
    decoding: Decoding,
    /// How long it took the action to decode them for all.
    took: Duration,
}

impl Default for Pixels {
    fn default() -> Self {
        Self {
            shared: None,
            decoding: Decoding::Own,
            took: Duration::ZERO,
        }
    }
}

/// Builds a [`Converter`].
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch that can be set by itself"
)]
pub struct Builder {
    threads: usize,
    stores: Option<Stores>,
    cache: Option<(PathBuf, u64)>,
    sharing: u64,
    limits: Limits,
    animations: bool,
    cmyk_to_rgb: bool,
    cmyk_profile: Option<PathBuf>,
    upright: bool,
    native: bool,
    fidelity: Fidelity,
    ghostscript: bool,
    sandbox: Sandbox,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            threads: 0,
            stores: None,
            cache: None,
            sharing: 256 << 20,
            limits: Limits::default(),
            animations: true,
            cmyk_to_rgb: true,
            cmyk_profile: None,
            upright: true,
            native: true,
            fidelity: Fidelity::Exact,
            ghostscript: false,
            sandbox: Sandbox::in_process(),
        }
    }
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

    /// How many bytes of sources and of their pixels are kept in memory for actions on the same source, so that it is
    /// fetched and decoded once. 0: each action does that for itself. Default: 256 MiB, which hold 85 million pixels.
    ///
    /// They are beside [`Limits::memory`], and no more than a quarter of it.
    #[must_use]
    pub fn sharing(mut self, max_bytes: u64) -> Self {
        self.sharing = max_bytes;
        self
    }

    /// What a conversion may use.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Whether the frames of animations are completed before operations that move pixels, and reduced again at the end,
    /// as by `-coalesce` and `-layers Optimize`. Default: they are, unless the chain works on the frames itself.
    #[must_use]
    pub fn animations(mut self, complete: bool) -> Self {
        self.animations = complete;
        self
    }

    /// Whether CMYK images are converted to sRGB by their profile, or [another](Self::cmyk_profile), before the first
    /// operation, where the result's format holds no CMYK. Default: they are, unless the chain works on colour spaces.
    ///
    /// Otherwise ImageMagick converts by a formula when it writes the result.
    #[must_use]
    pub fn cmyk_to_rgb(mut self, convert: bool) -> Self {
        self.cmyk_to_rgb = convert;
        self
    }

    /// The ICC profile of CMYK images that carry none: a file. Default: one of coated offset print that Imago brings.
    #[must_use]
    pub fn cmyk_profile(mut self, file: impl Into<PathBuf>) -> Self {
        self.cmyk_profile = Some(file.into());
        self
    }

    /// Whether images that lie on their side are put upright, as by `-auto-orient`, before the first operation, where the
    /// result can't say which way up it is. Default: they are, unless the chain turns images itself.
    #[must_use]
    pub fn upright(mut self, turn: bool) -> Self {
        self.upright = turn;
        self
    }

    /// Whether the native engine does what it can, with ImageMagick's result and much faster. Default: it does.
    #[must_use]
    pub fn native(mut self, use_it: bool) -> Self {
        self.native = use_it;
        self
    }

    /// How near results have to be where actions do not say. Default: they are ImageMagick's own.
    #[must_use]
    pub fn fidelity(mut self, fidelity: Fidelity) -> Self {
        self.fidelity = fidelity;
        self
    }

    /// Whether PDF, PostScript and EPS are read, which runs the program `gs`. Default: they are not.
    #[must_use]
    pub fn ghostscript(mut self, run: bool) -> Self {
        self.ghostscript = run;
        self
    }

    /// Where conversions run. Default: [in this process](Sandbox::in_process).
    #[must_use]
    pub fn sandbox(mut self, sandbox: Sandbox) -> Self {
        self.sandbox = sandbox;
        self
    }

    /// Starts ImageMagick, the pool, a first process for conversions, and the cache.
    pub async fn build(self) -> Result<Converter> {
        let threads = rayon::ThreadPoolBuilder::new()
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
        let mut limits = self.limits;
        if limits.memory == 0 {
            limits.memory = admission::memory() / 2;
        }
        runtime::set_limits(&limits);
        let cmyk = match (self.cmyk_to_rgb, &self.cmyk_profile) {
            (false, _) => None,
            (true, None) => Some(Bytes::from_static(colour::CMYK)),
            (true, Some(file)) => Some(read_cmyk_profile(file).await?),
        };
        let sharing = self.sharing.min(limits.memory / 4);
        let workers = Workers::new(
            self.sandbox,
            threads.current_num_threads(),
            &limits,
            sharing,
            cmyk.as_ref(),
        )?;
        let ghostscript = self.ghostscript.then(ghostscript::find).transpose()?;
        let pool = Pool::new(threads, workers, limits.clone(), ghostscript);
        Ok(Converter(Arc::new(Inner {
            fences: pool.fences().await?,
            pool,
            stores,
            cache,
            sharing: (sharing > 0).then(|| Sharing::new(sharing)),
            limits,
            animations: self.animations,
            cmyk,
            upright: self.upright,
            native: self.native,
            fidelity: self.fidelity,
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
        self.0.pool.threads()
    }

    /// What holds conversions.
    pub fn fences(&self) -> Fences {
        self.0.fences
    }

    /// Checks an action without fetching anything, and says everything that is wrong with it.
    ///
    /// Each error's [pointer](Error::pointer) names the member of the action: `/operations/0`, `/infile`.
    pub fn plan(&self, action: &Action) -> Result<Plan, Vec<Error>> {
        let mut errors = Vec::new();
        let mut note = |pointer: &str, error: Error| errors.push(error.at(pointer));

        let source = self
            .origin(&action.infile)
            .map_err(|error| note("/infile", error))
            .ok();
        let target = Target::parse(&action.outfile)
            .and_then(|target| self.0.stores.check(target.first()).map(|()| target))
            .map_err(|error| note("/outfile", error))
            .ok();
        let pipeline = self.pipeline(&action.operations).map_err(|errors| {
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
            (Some(source), Some(target), Ok((pipeline, reads)), Some(format), Some(headers))
                if errors.is_empty() =>
            {
                let engine = if self.0.native {
                    engine::outlook(source.extension(), pipeline.steps(), &format)
                } else {
                    Engine::Magick
                };
                Ok(Plan {
                    engine,
                    source,
                    reads,
                    target,
                    pipeline,
                    format,
                    mimetype,
                    headers,
                    timeout,
                    fidelity: action.fidelity.unwrap_or(self.0.fidelity),
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
            let first = errors.into_iter().next();
            let none = || Error::new(ErrorKind::Internal, "a plan failed without a reason");
            first.unwrap_or_else(none).during(Stage::Plan)
        })?;
        let not_before = action.not_before.unwrap_or_else(Instant::now);
        let mut timings = Timings::default();

        let started = Instant::now();
        let renditions = action.renditions.unwrap_or(1);
        let share = self.share(&plan.source, not_before, renditions);
        let source = self.fetch_source(&plan.source, not_before, share.as_ref());
        let reads = plan.reads.iter();
        let reads = reads.map(|origin| self.fetch(origin, not_before));
        let reads = futures_util::future::try_join_all(reads);
        let fetched = futures_util::future::try_join(source, reads).await;
        let ((source, cache), reads) = fetched.map_err(|error| error.during(Stage::Fetch))?;
        timings.fetch = started.elapsed();

        let doing = |error: Error| {
            let doing = format!("can't convert `{}`", plan.source);
            error.context(&doing).during(Stage::Convert)
        };
        let pixels = match &share {
            Some(share) if plan.fidelity == Fidelity::Exact || renditions >= WORTH_ALL => {
                self.pixels(share, &source, &plan).await.map_err(doing)?
            }
            _ => Pixels::default(),
        };
        let reads = reads.into_iter().map(|(input, _)| input);
        let inputs = std::iter::once(source).chain(reads).collect();
        let task = Task {
            separate: plan.target.is_numbered(),
            pixels: pixels.shared,
            gone: pixels.took,
            fidelity: plan.fidelity,
            ..self.task(inputs, plan.pipeline.clone(), plan.format.clone())
        };
        let progress = action.progress.clone();
        let (converted, took) = self.0.pool.convert(plan.timeout, progress, task).await;
        // Nothing more is wanted of the source.
        drop(share);
        let converted = converted.map_err(doing)?;
        timings.convert = took;

        let started = Instant::now();
        let mut files = Vec::with_capacity(converted.files.len());
        let (mut bytes, mut e_tag) = (0, None);
        // One image alone is numbered only where `outfile` has a place for the number, as by `magick`.
        let numbered = converted.files.len() > 1 || plan.target.is_numbered();
        for file in converted.files {
            let url = plan.target.url(file.scene.filter(|_| numbered))?;
            let location = Location::parse(&url)?;
            bytes += file.bytes.len() as u64;
            let stored = self
                .0
                .stores
                .put(&location, file.bytes, &plan.headers)
                .await
                .map_err(|error| error.during(Stage::Store))?;
            e_tag = e_tag.or(stored.e_tag);
            files.push(url);
        }
        timings.store = started.elapsed();
        Ok(Outcome {
            format: plan.format,
            width: converted.width,
            height: converted.height,
            frames: converted.frames,
            bytes,
            e_tag,
            files,
            mimetype: plan.mimetype,
            cache,
            engine: converted.engine,
            // Pixels that the native engine had no use for in the end were ImageMagick's to decode.
            decoding: match converted.engine {
                Engine::Magick => Decoding::Own,
                _ => pixels.decoding,
            },
            output: converted.output,
            timings,
        })
    }

    /// Converts many images, as many at once as keep the pool busy, and yields each outcome with the action's index as
    /// it comes.
    ///
    /// Actions on the same source share one request for it, and what the native engine decodes it decodes once for all of
    /// them, as far as there is [room](Builder::sharing).
    pub fn convert_all<'a>(
        &'a self,
        actions: &'a [Action],
    ) -> impl Stream<Item = (usize, Result<Outcome>)> + 'a {
        let asked = Instant::now();
        let mut renditions = HashMap::new();
        for action in actions {
            *renditions.entry(&action.infile).or_insert(0) += 1;
        }
        stream::iter(actions.iter().enumerate())
            .map(move |(index, action)| {
                let mut action = action.clone();
                action.not_before.get_or_insert(asked);
                let all = renditions.get(&action.infile).copied().unwrap_or(1);
                action.renditions.get_or_insert(all);
                async move { (index, self.convert(&action).await) }
            })
            // While some are on the pool, others are on their way to and from the stores.
            .buffer_unordered(2 * self.threads())
    }

    /// Parses operation strings, and checks that what they read may be read. Nothing is fetched.
    ///
    /// Each error's [pointer](Error::pointer) is the number of its string: `/0`.
    pub fn parse(&self, operations: &[String]) -> Result<Pipeline, Vec<Error>> {
        Ok(self.pipeline(operations)?.0)
    }

    /// Converts one image in memory.
    ///
    /// What the pipeline reads beside it comes from the stores. An image of several frames in a format that holds one is
    /// an error.
    pub async fn convert_bytes(
        &self,
        source: &[u8],
        pipeline: &Pipeline,
        format: Format,
    ) -> Result<Bytes> {
        let timeout = self.0.limits.timeout;
        let source = Bytes::copy_from_slice(source);
        self.convert_within(timeout, None, source, pipeline, format)
            .await
    }

    /// Converts one image in memory, as [`convert_bytes`](Self::convert_bytes) does, in so much time at most, and with
    /// another fidelity than the converter's if one is given.
    ///
    /// The time begins when a thread of the pool takes the image up. A future that is dropped cancels the conversion.
    pub async fn convert_within(
        &self,
        timeout: Duration,
        fidelity: Option<Fidelity>,
        source: Bytes,
        pipeline: &Pipeline,
        format: Format,
    ) -> Result<Bytes> {
        self.0.limits.check(pipeline.steps())?;
        let asked = Instant::now();
        let mut inputs = vec![Input::Object {
            bytes: source,
            name: String::new(),
            extension: None,
            selector: None,
        }];
        for origin in self.reads(pipeline)? {
            inputs.push(self.fetch(&origin, asked).await?.0);
        }
        let mut task = self.task(inputs, pipeline.clone(), format.clone());
        task.fidelity = fidelity.unwrap_or(task.fidelity);
        let (converted, _) = self.0.pool.convert(timeout, None, task).await;
        let converted = converted.map_err(|error| error.context("can't convert the image"))?;
        let frames = converted.frames;
        match <[_; 1]>::try_from(converted.files) {
            Ok([file]) => Ok(file.bytes),
            Err(_) => Err(Error::new(
                ErrorKind::OperationFailed,
                format!(
                    "there are {frames} images and {format} holds one; choose one, or join them, as with `flatten` or `append`"
                ),
            )),
        }
    }

    /// Says what an image in memory is, without decoding its pixels where the format allows.
    ///
    /// It waits for a thread of the pool as a conversion does. A future that is dropped cancels it.
    pub async fn identify(&self, image: impl Into<Bytes>) -> Result<Identity> {
        let image = image.into();
        let bytes = image.len() as u64;
        let image = Input::Object {
            bytes: image,
            name: String::new(),
            extension: None,
            selector: None,
        };
        let timeout = self.0.limits.timeout;
        let identity = self.0.pool.identify(timeout, image).await;
        match identity {
            Ok(identity) => Ok(Identity { bytes, ..identity }),
            Err(error) => Err(error.context("can't identify the image")),
        }
    }

    /// What is to be done on the pool, by this converter's settings.
    fn task(&self, inputs: Vec<Input>, pipeline: Pipeline, format: Format) -> Task {
        Task {
            inputs,
            pipeline,
            format,
            separate: false,
            animations: self.0.animations,
            cmyk: self.0.cmyk.clone(),
            upright: self.0.upright,
            native: self.0.native,
            pixels: None,
            gone: Duration::ZERO,
            fidelity: self.0.fidelity,
        }
    }

    /// Parses operation strings, and finds what they read.
    fn pipeline(&self, operations: &[String]) -> Result<(Pipeline, Vec<Origin>), Vec<Error>> {
        let pipeline = Pipeline::from_checked(operations, |step| match step.input() {
            Some(input) => self.origin(input).map(drop),
            None => Ok(()),
        })?;
        let reads = self.0.limits.check(pipeline.steps());
        let reads = reads.and_then(|()| self.reads(&pipeline));
        let reads = reads.map_err(|error| vec![error])?;
        Ok((pipeline, reads))
    }

    fn reads(&self, pipeline: &Pipeline) -> Result<Vec<Origin>> {
        let inputs = pipeline.steps().iter().filter_map(Step::input);
        inputs.map(|input| self.origin(input)).collect()
    }

    /// Where an input comes from: a generator, or an object that may be asked for.
    fn origin(&self, input: &str) -> Result<Origin> {
        if generator::is_generator(input) {
            return Ok(Origin::Generator(input.to_owned()));
        }
        let (url, selector) = split_selector(input)?;
        let location = Location::parse(url)?;
        self.0.stores.check(&location)?;
        Ok(Origin::Object {
            location,
            selector: selector.map(str::to_owned),
        })
    }

    /// Takes part in what actions on the same source share, if it is one to share.
    fn share(&self, origin: &Origin, not_before: Instant, renditions: usize) -> Option<Share> {
        match (origin, &self.0.sharing) {
            (Origin::Object { location, .. }, Some(sharing)) => {
                Some(sharing.join(location, not_before, renditions))
            }
            _ => None,
        }
    }

    /// The source's pixels, if they are for several actions.
    async fn pixels(&self, share: &Share, source: &Input, plan: &Plan) -> Result<Pixels> {
        let steps = plan.pipeline.steps();
        let native = self.0.native;
        let layout = native.then(|| engine::layout(source, steps, &plan.format, &self.0.limits));
        let Some(layout) = layout.flatten() else {
            return Ok(Pixels::default());
        };
        let mut took = Duration::ZERO;
        let decode = async {
            let decode = |layout| self.0.pool.decode(plan.timeout, source.clone(), layout);
            let mut decoded;
            (decoded, took) = decode(layout).await;
            if let (Ok(None), Some(pixels)) = (&decoded, layout.without_planes()) {
                let also;
                (decoded, also) = decode(pixels).await;
                took += also;
            }
            decoded
        };
        let drawn = share.pixels(layout, decode).await?;
        let (shared, decoding) = match drawn {
            Some((shared, decoding)) => (Some(shared), decoding),
            None => (None, Decoding::Own),
        };
        Ok(Pixels {
            shared,
            decoding,
            took,
        })
    }

    async fn fetch_source(
        &self,
        origin: &Origin,
        not_before: Instant,
        share: Option<&Share>,
    ) -> Result<(Input, CacheStatus)> {
        match (origin, share) {
            (Origin::Object { location, selector }, Some(share)) => {
                let source = share.bytes(self.object(location, not_before)).await?;
                Ok((
                    input(location, selector.as_deref(), source.bytes),
                    source.cache,
                ))
            }
            _ => self.fetch(origin, not_before).await,
        }
    }

    async fn fetch(&self, origin: &Origin, not_before: Instant) -> Result<(Input, CacheStatus)> {
        match origin {
            Origin::Generator(generator) => {
                Ok((Input::Generated(generator.clone()), CacheStatus::Uncached))
            }
            Origin::Object { location, selector } => {
                let source = self.object(location, not_before).await?;
                Ok((
                    input(location, selector.as_deref(), source.bytes),
                    source.cache,
                ))
            }
        }
    }

    /// An object's bytes, from the cache or its store.
    async fn object(&self, location: &Location, not_before: Instant) -> Result<Source> {
        let (stores, max_bytes) = (&self.0.stores, self.0.limits.source_bytes);
        match &self.0.cache {
            Some(cache) => cache.fetch(stores, location, not_before, max_bytes).await,
            None => stores.fetch(location, max_bytes).await,
        }
    }
}

/// What an object is to the engine.
fn input(location: &Location, selector: Option<&str>, bytes: Bytes) -> Input {
    Input::Object {
        bytes,
        name: location.name().to_owned(),
        extension: location.extension().map(str::to_owned),
        selector: selector.map(str::to_owned),
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

/// Reads a file that must be the ICC profile of a CMYK device.
async fn read_cmyk_profile(file: &Path) -> Result<Bytes> {
    let place = format!("the CMYK profile `{}`", file.display());
    let profile = tokio::fs::read(file).await.map_err(|error| {
        let message = format!("{place} can't be read: {error}");
        Error::new(ErrorKind::Internal, message).with_source(error)
    })?;
    if profile.get(16..20) == Some(b"CMYK") && profile.get(36..40) == Some(b"acsp") {
        Ok(profile.into())
    } else {
        let message = format!("{place} is no ICC profile of a CMYK device");
        Err(Error::new(ErrorKind::Internal, message))
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
fn output_format(target: &Target, mimetype: Option<&str>) -> Result<Format, (&'static str, Error)> {
    if let Some(prefix) = target.prefix() {
        return prefix.parse().map_err(|error| ("/outfile", error));
    }
    let extension = target.first().extension();
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
