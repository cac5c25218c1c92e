//! Questions to the brokers on behalf of clients: where a topic begins and ends, where a time is, where the last records
//! are.
//!
//! Two threads answer them, so that no question holds up the stream, and none that has to read records holds up one that
//! has not. Questions that wait together are answered together. The first thread also notices when a topic gets more
//! partitions.

use super::client_config::{self, Purpose};
use super::events::Events;
use super::evidence::Logs;
use super::live::Control;
use super::watermarks::{self, TopicWatermarks, Watermarks};
use super::{SourceError, SourceSettings, evidence, last_records};
use crate::stream::continuity::Evidence;
use crate::stream::position::Position;
use crate::supervision::{Alive, Supervision};
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaResult;
use rdkafka::types::RDKafkaErrorCode;
use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Questions that may wait; more are refused with "try again".
const WAITING_QUESTIONS: usize = 1024;
/// How long a client waits for an answer, with the questions before its own.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time between two looks at the number of partitions.
const PARTITION_CHECK: Duration = Duration::from_secs(10);

/// Why a question has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// Too many wait already.
    #[error("too many clients ask for positions at once")]
    Busy,
    /// The brokers do not answer.
    #[error("Kafka does not answer")]
    Unavailable,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Question {
    Watermarks,
    /// The first record of this time or later, in milliseconds since 1970.
    At(i64),
    /// The last records of every partition, so many.
    Last(u64),
    /// What the logs hold where a position stands.
    Evidence(Position),
}

/// What the brokers say.
#[derive(Debug, Clone)]
enum Answer {
    Watermarks(TopicWatermarks),
    /// By partition; `None` where nobody answers.
    Offsets(Vec<Option<i64>>),
    /// By partition.
    Evidence(Logs),
}

type Reply = oneshot::Sender<Result<Answer, LookupError>>;

/// Asks the brokers.
#[derive(Debug, Clone)]
pub struct Lookup {
    offsets: SyncSender<(Question, Reply)>,
    records: SyncSender<(Question, Reply)>,
}

impl Lookup {
    pub(super) fn spawn(
        settings: &SourceSettings,
        live: SyncSender<Control>,
        supervision: &Supervision,
    ) -> Result<Self, SourceError> {
        Ok(Self {
            offsets: LookupThread::spawn(supervision.alive("kafka-lookup"), settings, Some(live))?,
            records: LookupThread::spawn(supervision.alive("kafka-last"), settings, None)?,
        })
    }

    /// Oldest and next offset of every partition.
    pub async fn watermarks(&self) -> Result<TopicWatermarks, LookupError> {
        match ask(&self.offsets, Question::Watermarks).await? {
            Answer::Watermarks(watermarks) => Ok(watermarks),
            _ => Err(LookupError::Unavailable),
        }
    }

    /// What the logs hold where `position` stands, by partition; `None` where nobody answers.
    pub async fn evidence(&self, position: Position) -> Result<Vec<Option<Evidence>>, LookupError> {
        match ask(&self.records, Question::Evidence(position)).await? {
            Answer::Evidence(evidence) => Ok(evidence),
            _ => Err(LookupError::Unavailable),
        }
    }

    /// The first record of every partition whose time is at or after `time_ms` (milliseconds since 1970), or its end;
    /// where nobody answers, `otherwise`.
    pub async fn at_time(&self, time_ms: i64, otherwise: &Position) -> Result<Position, LookupError> {
        offsets(ask(&self.offsets, Question::At(time_ms)).await?, otherwise)
    }

    /// The last `records` of every partition, or as many as it has; where nobody answers, `otherwise`.
    pub async fn last(&self, records: u64, otherwise: &Position) -> Result<Position, LookupError> {
        offsets(ask(&self.records, Question::Last(records)).await?, otherwise)
    }
}

fn offsets(answer: Answer, otherwise: &Position) -> Result<Position, LookupError> {
    let Answer::Offsets(offsets) = answer else { return Err(LookupError::Unavailable) };
    let mut position = otherwise.clone();
    for (partition, offset) in offsets.into_iter().enumerate() {
        if let Some(offset) = offset {
            position.set(partition as i32, offset);
        }
    }
    Ok(position)
}

/// Waits for an answer, but not as long as all questions before it may take.
async fn ask(thread: &SyncSender<(Question, Reply)>, question: Question) -> Result<Answer, LookupError> {
    let (reply, answer) = oneshot::channel();
    thread.try_send((question, reply)).map_err(|error| match error {
        TrySendError::Full(_) => LookupError::Busy,
        TrySendError::Disconnected(_) => LookupError::Unavailable,
    })?;
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_)) | Err(_) => Err(LookupError::Unavailable),
    }
}

struct LookupThread {
    settings: SourceSettings,
    /// Made for the first question, and given back when none has come for a while.
    consumer: Option<BaseConsumer<Events>>,
    asked: Receiver<(Question, Reply)>,
    /// Is told of new partitions.
    live: Option<SyncSender<Control>>,
}

impl LookupThread {
    /// Starts a thread, which ends when its last sender is gone.
    fn spawn(
        alive: Alive,
        settings: &SourceSettings,
        live: Option<SyncSender<Control>>,
    ) -> Result<SyncSender<(Question, Reply)>, SourceError> {
        let (questions, asked) = sync_channel(WAITING_QUESTIONS);
        // The thread that looks for new partitions always needs it.
        let consumer = live.is_some().then(|| consumer(settings)).transpose()?;
        let thread = Self { settings: settings.clone(), consumer, asked, live };
        std::thread::Builder::new().name(alive.name().to_owned()).spawn(move || {
            let _alive = alive;
            thread.run();
        })?;
        Ok(questions)
    }

    fn run(mut self) {
        let mut next_check = Instant::now() + PARTITION_CHECK;
        loop {
            match self.asked.recv_timeout(next_check.saturating_duration_since(Instant::now())) {
                Ok(first) => self.answer(first),
                Err(RecvTimeoutError::Timeout) if self.live.is_none() => self.consumer = None,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            // Questions that never end must not put it off.
            if Instant::now() >= next_check {
                self.check_partitions();
                next_check = Instant::now() + PARTITION_CHECK;
            }
            if let Some(consumer) = &self.consumer {
                // Events of the library that nobody takes would pile up.
                let _ = consumer.poll(Duration::ZERO);
            }
        }
    }

    /// Answers a question and all that wait behind it: equal ones together, and those for what logs hold in one go.
    fn answer(&mut self, first: (Question, Reply)) {
        let mut waiting: HashMap<Question, Vec<Reply>> = HashMap::new();
        for (question, reply) in std::iter::once(first).chain(self.asked.try_iter().take(WAITING_QUESTIONS)) {
            // Nobody waits any more.
            if !reply.is_closed() {
                waiting.entry(question).or_default().push(reply);
            }
        }
        let (positions, others): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|(question, _)| matches!(question, Question::Evidence(_)));
        for (question, replies) in others {
            let answer = self.ask(|consumer, settings| find(consumer, &settings.kafka.topic, &question));
            reply_to(replies, &answer);
        }
        if !positions.is_empty() {
            self.answer_with_evidence(positions);
        }
    }

    fn answer_with_evidence(&mut self, waiting: Vec<(Question, Vec<Reply>)>) {
        let (mut positions, mut replies) = (Vec::new(), Vec::new());
        for (question, to) in waiting {
            if let Question::Evidence(position) = question {
                positions.push(position);
                replies.push(to);
            }
        }
        match self.ask(|consumer, settings| evidence::read_all(consumer, settings, &positions)) {
            Ok(found) => {
                for (to, logs) in replies.into_iter().zip(found) {
                    reply_to(to, &Ok(Answer::Evidence(logs)));
                }
            }
            Err(error) => replies.into_iter().for_each(|to| reply_to(to, &Err(error))),
        }
    }

    fn ask<T>(
        &mut self,
        question: impl Fn(&BaseConsumer<Events>, &SourceSettings) -> KafkaResult<T>,
    ) -> Result<T, LookupError> {
        if self.consumer.is_none() {
            self.consumer =
                consumer(&self.settings).inspect_err(|error| tracing::warn!(%error, "cannot ask Kafka")).ok();
        }
        let consumer = self.consumer.as_ref().ok_or(LookupError::Unavailable)?;
        let found = question(consumer, &self.settings);
        found.map_err(|error| {
            tracing::warn!(target: "kafka", %error, "a question of a client has no answer");
            // The next question is asked by one that knows nothing of leaders that the brokers may have forgotten.
            self.consumer = None;
            LookupError::Unavailable
        })
    }

    fn check_partitions(&mut self) {
        let Some(live) = &self.live else { return };
        if self.consumer.is_none() {
            self.consumer = consumer(&self.settings).ok();
        }
        let Some(consumer) = &self.consumer else { return };
        let seen = match watermarks::leaders(consumer, &self.settings.kafka.topic) {
            Ok(leaders) => Control::Partitions(leaders.len() as i32),
            // The live consumer would wait for half a minute before it says so.
            Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::UnknownTopicOrPartition) => {
                Control::TopicMissing
            }
            Err(_) => return,
        };
        // If the live consumer is busy for so long, the next look will do.
        let _ = live.try_send(seen);
    }
}

fn consumer(settings: &SourceSettings) -> Result<BaseConsumer<Events>, SourceError> {
    client_config::consumer(settings, Purpose::Lookup, Events::default())
}

fn reply_to(replies: Vec<Reply>, answer: &Result<Answer, LookupError>) {
    for reply in replies {
        // A client that has left does not read its answer.
        let _ = reply.send(answer.clone());
    }
}

fn find(consumer: &BaseConsumer<Events>, topic: &str, question: &Question) -> KafkaResult<Answer> {
    let watermarks = watermarks::ask(consumer, topic)?;
    Ok(match *question {
        Question::Watermarks | Question::Evidence(_) => Answer::Watermarks(watermarks),
        Question::At(time_ms) => {
            let found = watermarks::at_times(consumer, topic, |_| Some(time_ms))?;
            let or_end = |(partition, marks): (usize, Option<Watermarks>)| {
                marks.map(|marks| found.get(partition).copied().flatten().unwrap_or(marks.high))
            };
            Answer::Offsets(watermarks.into_iter().enumerate().map(or_end).collect())
        }
        Question::Last(records) => Answer::Offsets(last_records::find(consumer, topic, &watermarks, records)?),
    })
}
