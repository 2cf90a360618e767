//! The way of a span: from a request through the log into assembly.
//!
//! A request is one record of the log, the bytes as they came. When they are durable its spans enter
//! assembly, and the client is answered. Both happen in a task of their own: a client that goes away does
//! not take its spans along.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use parking_lot::{Mutex, RwLock};
use quorate_analysis::{History, Patterns};
use quorate_assembly::{Assembly, Millis};
use quorate_intake::{Refusal, Sink, Transport};
use quorate_query::{ServiceGraph, SpanMetrics};
use quorate_storage::{GroupId, RecordLog};
use quorate_trace::wire::{Batch, Limits};
use quorate_trace_store::TraceStore;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::config::{Acknowledge, Config};
use crate::disk::DiskSpace;
use crate::export::Exports;
use crate::held::{Held, Part, memory_of};
use crate::metrics::{Metrics, count};
use crate::positions::Positions;
use crate::telemetry::{Tracer, unix_nanos};

/// The log's group that requests are written to.
pub(crate) const REQUESTS: GroupId = GroupId(1);

/// When a client that is refused may try again.
const RETRY: Duration = Duration::from_secs(1);

/// How often it is looked for room while what was accepted before is read back.
const ROOM_POLL: Duration = Duration::from_millis(5);

/// What the process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Stage {
    /// Reads back what was accepted before.
    Recovering,
    /// Takes spans.
    Serving,
    /// Takes no more spans and seals or leaves in the log what is open.
    Stopping,
}

/// Everything that the parts of the collector share.
pub(crate) struct Pipeline {
    pub(crate) config: Config,
    pub(crate) log: RecordLog,
    pub(crate) assembly: Assembly<Part>,
    pub(crate) store: Arc<dyn TraceStore>,
    pub(crate) positions: Arc<Positions>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) disk: DiskSpace,
    /// Memory of requests that are on their way into assembly.
    on_the_way: AtomicU64,
    pub(crate) exports: Exports,
    pub(crate) policies: Mutex<quorate_sampling::Policies>,
    pub(crate) patterns: Arc<Patterns>,
    /// Replaced as a whole when somebody reads it while it is written.
    pub(crate) history: RwLock<Arc<History>>,
    pub(crate) span_metrics: SpanMetrics,
    pub(crate) service_graph: ServiceGraph,
    pub(crate) intake: Arc<quorate_intake::Stats>,
    pub(crate) tracer: Tracer,
    pub(crate) started: Instant,
    runtime: Handle,
    stage: AtomicU8,
}

/// What a pipeline is made of, besides the configuration.
pub(crate) struct Parts {
    pub(crate) log: RecordLog,
    pub(crate) store: Arc<dyn TraceStore>,
    pub(crate) exports: Exports,
    pub(crate) policies: quorate_sampling::Policies,
    pub(crate) history: History,
}

impl Pipeline {
    pub(crate) fn new(config: Config, parts: Parts) -> Arc<Self> {
        let assembly = Assembly::new(quorate_assembly::Config {
            quiet_ms: millis(config.assembly.quiet),
            deadline_ms: millis(config.assembly.deadline),
            memory_bytes: config.assembly.memory.as_u64(),
            trace_bytes: config.assembly.trace_memory.as_u64(),
            ..quorate_assembly::Config::default()
        });
        Arc::new(Pipeline {
            assembly,
            log: parts.log,
            store: parts.store,
            positions: Positions::new(),
            metrics: Metrics::new(),
            disk: DiskSpace::new(&config.data.dir, config.data.reserve.as_u64()),
            on_the_way: AtomicU64::new(0),
            exports: parts.exports,
            policies: Mutex::new(parts.policies),
            patterns: Arc::new(config.analysis.clone()),
            history: RwLock::new(Arc::new(parts.history)),
            span_metrics: SpanMetrics::default(),
            service_graph: ServiceGraph::default(),
            intake: Arc::default(),
            tracer: Tracer::new(config.telemetry.traces_per_minute),
            runtime: Handle::current(),
            started: Instant::now(),
            stage: AtomicU8::new(Stage::Recovering as u8),
            config,
        })
    }

    pub(crate) fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Relaxed) {
            0 => Stage::Recovering,
            1 => Stage::Serving,
            _ => Stage::Stopping,
        }
    }

    pub(crate) fn set_stage(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::Relaxed);
    }

    /// Milliseconds since the start of the process: what assembly's windows are measured with.
    pub(crate) fn now(&self) -> Millis {
        Millis(self.started.elapsed().as_millis() as u64)
    }

    /// Hands durable spans to assembly.
    pub(crate) fn assemble(&self, held: &Arc<Held>) {
        let inserted = self.assembly.insert(self.now(), held.arrivals());
        self.metrics
            .spans_duplicate
            .inc_by(inserted.duplicates as u64);
    }

    /// Makes room for a request, if it may come in.
    fn admit(self: &Arc<Self>, batch: &Batch) -> Result<Room, Refusal> {
        if self.stage() != Stage::Serving || self.disk.is_short() {
            return Err(Refusal::Unavailable { retry_after: RETRY });
        }
        let busy = Refusal::Busy { retry_after: RETRY };
        if self.log.is_congested() {
            return Err(busy);
        }
        Room::take(self, memory_of(batch)).ok_or(busy)
    }

    /// Waits until there is room for a request that was accepted before. One that was accepted with a larger
    /// memory than there is now comes in alone.
    pub(crate) fn wait_for_room(self: &Arc<Self>, batch: &Batch) -> Option<Room> {
        loop {
            let room = Room::take(self, memory_of(batch));
            if room.is_some() || self.assembly.bytes() == 0 {
                return room;
            }
            std::thread::sleep(ROOM_POLL);
        }
    }

    /// Memory of requests that are on their way into assembly.
    pub(crate) fn on_the_way(&self) -> u64 {
        self.on_the_way.load(Ordering::Relaxed)
    }

    /// Whether there is hardly room for anything.
    pub(crate) fn is_full(&self) -> bool {
        let taken = self.assembly.bytes() + self.on_the_way();
        taken > self.config.assembly.memory.as_u64() / 16 * 15
    }

    /// Takes in the collector's own spans, if there is room; nobody waits for them.
    pub(crate) fn take_in(self: &Arc<Self>, body: Bytes) {
        let Ok(batch) = Batch::scan(body, &Limits::NONE) else {
            return;
        };
        if let Ok(room) = self.admit(&batch) {
            // An error is a log that has stopped, which others tell.
            let _ = self.log_and_assemble(batch, room);
        }
    }

    /// Writes the request to the log, and hands it to assembly once it is durable. The task is the
    /// pipeline's own: it goes on when the client has gone.
    fn log_and_assemble(
        self: &Arc<Self>,
        batch: Batch,
        room: Room,
    ) -> Result<JoinHandle<Result<(), Refusal>>, Refusal> {
        let (number, durable) = self.write(&batch)?;
        Ok(self.runtime.spawn(async move {
            let pipeline = &room.pipeline;
            let ticket = pipeline.positions.ticket(number);
            durable
                .await
                .map_err(|_| Refusal::Unavailable { retry_after: RETRY })?;
            let metrics = &pipeline.metrics;
            metrics.spans_accepted.inc_by(batch.len() as u64);
            metrics.bytes_accepted.inc_by(batch.body().len() as u64);
            pipeline.assemble(&Held::new(batch, ticket));
            Ok(())
        }))
    }

    /// Writes the request to the log; the answer comes when it is durable.
    fn write(&self, batch: &Batch) -> Result<(u64, oneshot::Receiver<()>), Refusal> {
        let (tell, durable) = oneshot::channel();
        let done = Box::new(move || {
            // Whoever waited may be gone; the spans are durable all the same.
            let _ = tell.send(());
        });
        let number = self
            .log
            .append(REQUESTS, vec![batch.body().clone()], done)
            .map_err(|error| {
                tracing::error!(%error, "the log took no request");
                Refusal::Unavailable { retry_after: RETRY }
            })?;
        Ok((number, durable))
    }
}

/// Memory for a request on its way into assembly, where its spans are counted one by one. So the bound on
/// memory is kept with any number of requests at once.
pub(crate) struct Room {
    pipeline: Arc<Pipeline>,
    bytes: u64,
}

impl Room {
    fn take(pipeline: &Arc<Pipeline>, bytes: u64) -> Option<Room> {
        let before = pipeline.on_the_way.fetch_add(bytes, Ordering::Relaxed);
        let room = Room {
            pipeline: Arc::clone(pipeline),
            bytes,
        };
        let limit = pipeline.config.assembly.memory.as_u64();
        // Given back by its drop if it is too much.
        (pipeline.assembly.bytes() + before + bytes <= limit).then_some(room)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.pipeline
            .on_the_way
            .fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The pipeline as the door of the collector sees it.
#[derive(Clone)]
pub(crate) struct Door(pub(crate) Arc<Pipeline>);

impl Sink for Door {
    async fn accept(&self, batch: Batch, _from: Transport) -> Result<(), Refusal> {
        let pipeline = &self.0;
        let begun = Instant::now();
        let metrics = &pipeline.metrics;
        for (reason, spans) in batch.refused().by_reason() {
            count(&metrics.spans_refused, reason, u64::from(spans));
        }
        if batch.is_empty() {
            return Ok(());
        }
        let room = pipeline.admit(&batch)?;
        let recording = pipeline.tracer.begin("accept", SpanKind::Server);
        let logged_at = unix_nanos();
        let spans = batch.len() as u64;
        let task = pipeline.log_and_assemble(batch, room)?;
        if pipeline.config.intake.acknowledge == Acknowledge::Durable {
            let gone = Err(Refusal::Unavailable { retry_after: RETRY });
            task.await.unwrap_or(gone)?;
        }
        metrics
            .acknowledge_seconds
            .observe(begun.elapsed().as_secs_f64());
        if let Some(mut recording) = recording {
            recording.step("log and assemble", logged_at);
            recording.attribute("spans", spans);
            pipeline.take_in(recording.end());
        }
        Ok(())
    }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    duration.as_millis() as u64
}
