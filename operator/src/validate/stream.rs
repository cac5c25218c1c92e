//! `spec.stream`, as the gateway takes it.
//!
//! Must never judge `publish`: `offered` and `guardrails` do.

use super::{Parsed, Problems, filters, unsigned};
use headgate_crds::v1alpha1 as api;
use headgate_wire::config::{Format, Replay, SlowClient, Start, Stream};

/// What clients get.
pub(super) fn parse(stream: &api::Stream, problems: &mut Problems) -> Parsed<Stream> {
    let event_type = problems.text("spec.stream.eventType", &stream.event_type);
    let filters = filters::parse("spec.stream.filters", &stream.filters, problems);
    Ok(Stream {
        format: match stream.format {
            api::Format::CloudEvents => Format::CloudEvents,
            api::Format::Raw => Format::Raw,
            api::Format::TopicPayload => Format::TopicPayload,
        },
        start: match stream.start {
            api::Start::Latest => Start::Latest,
            api::Start::Earliest => Start::Earliest,
        },
        event_type: event_type?.into(),
        filters: filters?,
        replay: Replay {
            // `schema` reports what is out of range.
            ring_bytes: u64::try_from(stream.replay.ring_bytes).unwrap_or_default(),
            max_concurrent: unsigned(stream.replay.max_concurrent),
        },
        slow_client: match stream.slow_client {
            api::SlowClient::Disconnect => SlowClient::Disconnect,
            api::SlowClient::SkipWithGap => SlowClient::SkipWithGap,
            api::SlowClient::LatestOnly => SlowClient::LatestOnly,
        },
        max_delay_milliseconds: unsigned(stream.max_delay_milliseconds),
    })
}
