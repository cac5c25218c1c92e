//! The log of a view: segments of whole frames, and the byte positions at which clients read them.
//!
//! A client is a number, the absolute byte that it reads next; a write covers everything from there to the end of a
//! segment, so any number of frames costs one system call. Segments begin small and grow, because most logs belong to
//! one quiet client. The log never looks into frames and never knows a socket.

use crate::stream::entry::Entry;
use crate::stream::position::Position;
use headgate_wire::cursor::Seen;
use std::collections::VecDeque;

/// First segment of a log, in bytes.
const SMALLEST_SEGMENT_BYTES: usize = 2 * 1024;
/// Segments stop growing here, in bytes; a single larger frame gets a segment of its own.
pub const LARGEST_SEGMENT_BYTES: usize = 256 * 1024;
/// Each new segment is this many times larger than the one before it.
const SEGMENT_GROWTH: usize = 4;

/// Where a frame ends, and the step of the stream that it carries.
#[derive(Debug, Clone, Copy)]
struct Mark {
    end: u32,
    /// Negative for frames that carry no step.
    partition: i32,
    /// The partition's next offset after the step.
    next: i64,
    /// What a position behind the step knows of it.
    seen: Seen,
}

#[derive(Debug)]
struct Segment {
    /// Absolute byte position of the first byte.
    start: u64,
    /// Frames appended to the log before this segment.
    frames_before: u64,
    /// A reader's position before the first frame.
    position: Position,
    /// How often the stream had begun again when the segment was started.
    beginnings: u64,
    bytes: Vec<u8>,
    marks: Vec<Mark>,
}

impl Segment {
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.marks.capacity() * size_of::<Mark>() + self.position.memory_bytes()
    }

    /// Marks of the frames that end at or before `at`.
    fn marks_before(&self, at: u64) -> &[Mark] {
        let inside = at.saturating_sub(self.start);
        &self.marks[..self.marks.partition_point(|mark| u64::from(mark.end) <= inside)]
    }
}

/// Append-only frames of one view.
#[derive(Debug, Default)]
pub struct Log {
    segments: VecDeque<Segment>,
    /// Absolute byte after the last frame.
    head: u64,
    frames: u64,
    next_capacity: usize,
    /// The head when the log was empty for the last time.
    emptied_at: u64,
    bytes: usize,
    /// The next frame starts a segment, and so a position, of its own.
    sealed: bool,
    /// How often the stream has begun again.
    beginnings: u64,
}

impl Log {
    /// An empty log.
    pub fn new() -> Self {
        Self { next_capacity: SMALLEST_SEGMENT_BYTES, ..Self::default() }
    }

    /// Absolute byte after the last frame: where a new client begins.
    pub fn head(&self) -> u64 {
        self.head
    }

    /// Absolute byte of the oldest frame that is still here.
    pub fn start(&self) -> u64 {
        self.segments.front().map_or(self.head, |segment| segment.start)
    }

    /// Frames appended so far.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Memory of all segments, with their marks and positions, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends a whole frame that carries a step of the stream. `before` is the stream's position without that step.
    pub fn append_step(&mut self, frame: &[u8], step: &Entry, before: &Position) {
        let mark = Mark { end: 0, partition: step.partition(), next: step.next(), seen: step.seen() };
        self.append(frame, mark, before);
    }

    /// Appends a whole frame that carries no step (a ping, a cursor), in a stream that stands at `now`.
    pub fn append_notice(&mut self, frame: &[u8], now: &Position) {
        self.append(frame, Mark { end: 0, partition: -1, next: 0, seen: Seen::default() }, now);
    }

    /// Lets the next frame start a segment, and so a position, of its own.
    pub fn seal(&mut self) {
        self.sealed = true;
    }

    /// Says that the stream begins again elsewhere: within a segment, positions only advance. Frames that tell of it come
    /// before, in a segment of their own: a reader of them still stands where the stream was.
    pub fn begin_again(&mut self) {
        self.sealed = true;
        self.beginnings += 1;
    }

    fn append(&mut self, frame: &[u8], mark: Mark, before: &Position) {
        let fits = self.segments.back().is_some_and(|s| s.bytes.len() + frame.len() <= s.bytes.capacity());
        if !fits || self.sealed {
            self.start_segment(frame.len(), before);
        }
        let Some(segment) = self.segments.back_mut() else { return };
        segment.bytes.extend_from_slice(frame);
        let marks = segment.marks.capacity();
        segment.marks.push(Mark { end: segment.bytes.len() as u32, ..mark });
        self.bytes += (segment.marks.capacity() - marks) * size_of::<Mark>();
        self.head += frame.len() as u64;
        self.frames += 1;
    }

    fn start_segment(&mut self, at_least: usize, position: &Position) {
        self.sealed = false;
        let capacity = self.next_capacity.max(at_least);
        self.next_capacity = (self.next_capacity * SEGMENT_GROWTH).min(LARGEST_SEGMENT_BYTES);
        self.segments.push_back(Segment {
            start: self.head,
            frames_before: self.frames,
            position: position.clone(),
            beginnings: self.beginnings,
            bytes: Vec::with_capacity(capacity),
            marks: Vec::new(),
        });
        self.bytes += self.segments.back().map_or(0, Segment::memory_bytes);
    }

    /// Everything from `at` to the end of its segment: whole frames if `at` is a frame boundary. Empty at the head.
    pub fn pending(&self, at: u64) -> &[u8] {
        self.segment(at).map_or(&[], |segment| &segment.bytes[(at - segment.start) as usize..])
    }

    /// What is left of the frame that a reader stopped in the middle of; empty on a frame boundary.
    pub fn rest_of_frame(&self, at: u64) -> &[u8] {
        let Some(segment) = self.segment(at) else { return &[] };
        let inside = (at - segment.start) as usize;
        let done = segment.marks_before(at);
        if done.last().map_or(0, |mark| mark.end as usize) == inside {
            return &[];
        }
        let end = segment.marks.get(done.len()).map_or(inside, |mark| mark.end as usize);
        &segment.bytes[inside..end]
    }

    /// Frames that end at or before `at`.
    pub fn frames_before(&self, at: u64) -> u64 {
        if at >= self.head {
            return self.frames;
        }
        self.segment(at).map_or(0, |segment| segment.frames_before + segment.marks_before(at).len() as u64)
    }

    /// The position of a reader that has received all whole frames before `at`; `None` at the head, where it is the
    /// stream's own.
    pub fn position_at(&self, at: u64) -> Option<Position> {
        let segment = self.segment(at)?;
        let mut position = segment.position.clone();
        for mark in segment.marks_before(at).iter().filter(|mark| mark.partition >= 0) {
            if mark.next < position.next(mark.partition) {
                // It tells that the stream goes back.
                position.set(mark.partition, mark.next);
            }
            position.advance_after(mark.partition, mark.next, mark.seen);
        }
        Some(position)
    }

    /// How often the stream had begun again before what a reader at `at` reads next. Positions can only be compared if
    /// these are equal.
    pub fn beginnings_at(&self, at: u64) -> u64 {
        self.segment(at).map_or(self.beginnings, |segment| segment.beginnings)
    }

    /// The first byte of the newest step's frame, or the head if the log holds none.
    pub fn newest_step(&self) -> u64 {
        let Some(segment) = self.segments.back() else { return self.head };
        match segment.marks.iter().rposition(|mark| mark.partition >= 0) {
            Some(0) => segment.start,
            Some(index) => segment.start + u64::from(segment.marks[index - 1].end),
            None => self.head,
        }
    }

    /// Where the second segment begins: what [`Log::evict`] leaves as the start.
    pub fn start_after_eviction(&self) -> u64 {
        self.segments.get(1).map_or(self.head, |segment| segment.start)
    }

    /// Drops the oldest segment.
    pub fn evict(&mut self) {
        if let Some(segment) = self.segments.pop_front() {
            self.bytes -= segment.memory_bytes();
        }
    }

    /// Drops the segments that every reader has passed. `slowest` is the lowest position of any reader.
    pub fn release(&mut self, slowest: u64) {
        while self.segments.front().is_some_and(|segment| segment.end() <= slowest) {
            self.evict();
        }
        if self.segments.is_empty() && self.head > self.emptied_at {
            // What comes together next time is about as much, and one segment means one write.
            let held = (self.head - self.emptied_at).min(LARGEST_SEGMENT_BYTES as u64) as usize;
            self.next_capacity = held.next_power_of_two().max(SMALLEST_SEGMENT_BYTES);
            self.emptied_at = self.head;
        }
    }

    fn segment(&self, at: u64) -> Option<&Segment> {
        let last = self.segments.back()?;
        if at >= last.start {
            return (at < last.end()).then_some(last);
        }
        let index = self.segments.partition_point(|segment| segment.end() <= at);
        self.segments.get(index).filter(|segment| segment.start <= at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::entry::Gap;
    use headgate_wire::message::GapReason;
    use proptest::prelude::*;

    fn step(offset: i64) -> Entry {
        Entry::Gap(Gap { partition: 0, from: offset, to: offset + 1, reason: GapReason::TooLarge })
    }

    fn log_of(frames: &[usize]) -> Log {
        let mut log = Log::new();
        for (offset, length) in frames.iter().enumerate() {
            log.append_step(&vec![offset as u8; *length], &step(offset as i64), &Position::new(vec![offset as i64]));
        }
        log
    }

    #[test]
    fn a_quiet_log_holds_no_memory() {
        let mut log = log_of(&[100, 200]);
        log.release(log.head());
        assert_eq!(log.bytes(), 0);
        assert_eq!(log.pending(log.head()), &[] as &[u8]);
    }

    #[test]
    fn what_came_together_fits_one_segment_the_next_time() {
        let mut log = log_of(&[200; 64]);
        log.release(log.head());
        for _ in 0..64 {
            log.append_notice(&[7; 200], &Position::default());
        }
        assert_eq!(log.pending(log.start()).len(), 64 * 200);
        log.release(log.head());
        log.append_notice(&[7; 200], &Position::default());
        log.release(log.head());
        log.append_notice(&[7; 200], &Position::default());
        assert_eq!(log.segments[0].bytes.capacity(), SMALLEST_SEGMENT_BYTES);
    }

    #[test]
    fn a_frame_larger_than_a_segment_gets_its_own() {
        let log = log_of(&[10, LARGEST_SEGMENT_BYTES * 2, 10]);
        assert_eq!(log.pending(10).len(), LARGEST_SEGMENT_BYTES * 2);
    }

    #[test]
    fn a_reader_in_the_middle_of_a_frame_is_told_its_rest_and_its_last_whole_record() {
        let log = log_of(&[10, 20, 30]);
        assert_eq!(log.rest_of_frame(15), &[1u8; 15]);
        assert_eq!(log.rest_of_frame(10), &[] as &[u8]);
        assert_eq!(log.position_at(15).map(|p| p.next(0)), Some(1));
        assert_eq!(log.position_at(30).map(|p| p.next(0)), Some(2));
        assert_eq!(log.newest_step(), 30);
    }

    #[test]
    fn a_reader_behind_a_seal_is_where_the_stream_began_again() {
        let mut log = log_of(&[10, 20, 30]);
        log.seal();
        log.append_notice(&[9; 5], &Position::new(vec![3]));
        assert_eq!((log.position_at(60).map(|p| p.next(0)), log.beginnings_at(60)), (Some(3), 0));
        log.begin_again();
        let again = log.head();
        log.append_step(&[9; 5], &step(0), &Position::new(vec![0]));
        log.append_step(&[9; 5], &step(1), &Position::new(vec![1]));
        assert_eq!(log.position_at(30).map(|p| p.next(0)), Some(2));
        assert_eq!(log.position_at(again).map(|p| p.next(0)), Some(0));
        assert_eq!(log.position_at(again + 5).map(|p| p.next(0)), Some(1));
    }

    #[test]
    fn a_reader_among_the_frames_that_tell_of_a_new_beginning_stands_where_they_say() {
        let mut log = log_of(&[10]);
        log.seal();
        let reset = Entry::Gap(Gap { partition: 0, from: 1, to: 0, reason: GapReason::TopicReset });
        log.append_step(&[9; 5], &reset, &Position::new(vec![1]));
        log.append_notice(&[9; 5], &Position::new(vec![1]));
        assert_eq!(log.position_at(10).map(|p| p.next(0)), Some(1));
        assert_eq!(log.position_at(15).map(|p| p.next(0)), Some(0));
    }

    proptest! {
        #[test]
        fn reading_from_any_boundary_yields_the_same_bytes_as_were_appended(
            frames in proptest::collection::vec(1usize..5000, 1..200), skip in 0usize..200, evictions in 0usize..3
        ) {
            let mut log = log_of(&frames);
            for _ in 0..evictions.min(log.segments.len().saturating_sub(1)) { log.evict(); }
            let all: Vec<u8> = frames.iter().enumerate().flat_map(|(i, n)| vec![i as u8; *n]).collect();
            let boundary: usize = frames[..skip.min(frames.len())].iter().sum();
            let mut at = (boundary as u64).max(log.start());
            let begin = at as usize;
            let mut read = Vec::new();
            while at < log.head() {
                let pending = log.pending(at);
                prop_assert!(!pending.is_empty());
                read.extend_from_slice(pending);
                at += pending.len() as u64;
            }
            prop_assert_eq!(&read[..], &all[begin..]);
            prop_assert_eq!(log.frames_before(at), frames.len() as u64);
        }

        #[test]
        fn released_memory_is_only_what_every_reader_has_passed(
            frames in proptest::collection::vec(1usize..90_000, 1..60), slowest in 0usize..60
        ) {
            let mut log = log_of(&frames);
            let slowest: usize = frames[..slowest.min(frames.len())].iter().sum();
            log.release(slowest as u64);
            prop_assert!(log.start() <= slowest as u64);
            prop_assert_eq!(log.bytes(), log.segments.iter().map(Segment::memory_bytes).sum::<usize>());
        }
    }
}
