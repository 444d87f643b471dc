//! The judge: takes a history line by line, and says at the end what was broken.

use std::collections::BTreeMap;

use super::{
    Kind, Verdict,
    line::{Line, Names},
    sent::{Answer, CAUSES, Sent, rank},
};

/// How long a daemon may take to end after SIGTERM, in milliseconds.
const TERM_LIMIT_MS: u64 = 5_000;
/// The exit code of a daemon that finds its directory taken.
const LOCKED: i64 = 8;

/// One that reads events at a node, resuming by cursor.
struct Consumer {
    node: usize,
    /// The number of the last event dealt with.
    last: u64,
    /// Messages from others in the order they were seen.
    seen: Vec<usize>,
    /// Whether a gap said that events are missing.
    excused: bool,
}

/// The pages of one conversation as they were read: newest first.
#[derive(Default)]
struct Conversation {
    rows: Vec<usize>,
    whole: bool,
}

/// See the module.
#[derive(Default)]
pub(super) struct Judge {
    verdict: Verdict,
    nodes: Names,
    lanes: Names,
    consumer_names: Names,
    ids: BTreeMap<String, usize>,
    sent: Vec<Sent>,
    consumers: BTreeMap<usize, Consumer>,
    /// By the node that was asked, and the peer.
    conversations: BTreeMap<(usize, usize), Conversation>,
    ready_limit_ms: Option<u64>,
    ended: bool,
}

impl Judge {
    /// Takes the next line.
    pub(super) fn line(&mut self, number: usize, text: &str) {
        let taken = Line::parse(text).and_then(|line| self.take(&line));
        if let Err(what) = taken {
            self.verdict
                .add(Kind::Form, format!("line {number}: {what}"));
        }
    }

    fn take(&mut self, line: &Line) -> Result<(), String> {
        match line.text("op")? {
            "start" => self.ready_limit_ms = Some(line.number("ready_limit_ms")?),
            "invoke" => self.invoke(line)?,
            "ok" => self.ok(line)?,
            "fail" => self.answer(line, Answer::Failed(line.text("cause")?.to_owned()))?,
            "info" => self.answer(line, Answer::Unknown)?,
            "open" => self.open(line)?,
            "seen" => self.seen(line)?,
            "state" => self.state(line)?,
            "gap" => self.gap(line)?,
            "event" => {
                self.advance(line)?;
                if line.text("type")? == "fork" {
                    let at = line.text("where")?.to_owned();
                    self.broken(Kind::State, format!("{at} saw a forked feed"));
                }
            }
            "row" => self.row(line)?,
            "rows_end" => {
                let pair = self.pair(line)?;
                self.conversations.entry(pair).or_default().whole = true;
            }
            "kill" => self.verdict.totals.kills = self.verdict.totals.kills.saturating_add(1),
            "ready" => self.ready(line)?,
            "not_ready" => {
                let said = format!(
                    "{} did not start: {}",
                    line.text("node")?,
                    line.text("what")?
                );
                self.broken(Kind::Start, said);
            }
            "term" => self.term(line)?,
            "second" => {
                let (node, code) = (line.text("node")?, line.signed("code")?);
                if code != LOCKED {
                    let said = format!(
                        "a second daemon on the directory of {node} ended with {code}, not {LOCKED}"
                    );
                    self.broken(Kind::Start, said);
                }
            }
            "broken" => {
                let said = line.text("what")?.to_owned();
                self.broken(Kind::State, said);
            }
            "end" => self.ended = true,
            // What helps to read a history and is not judged.
            "retry" | "spawn" | "fault" | "heal" | "quiet" | "note" => {}
            other => return Err(format!("unknown operation `{other}`")),
        }
        Ok(())
    }

    fn broken(&mut self, kind: Kind, sentence: String) {
        self.verdict.add(kind, sentence);
    }

    fn invoke(&mut self, line: &Line) -> Result<(), String> {
        let id = line.text("id")?;
        let from = self.nodes.number(line.text("from")?);
        let to = self.nodes.number(line.text("to")?);
        let lane = self.lanes.number(line.text("lane")?);
        let sent = Sent::new(id, from, to, lane, line.number("n")?);
        if self.ids.insert(id.to_owned(), self.sent.len()).is_some() {
            return Err(format!("{id} was sent before"));
        }
        self.sent.push(sent);
        Ok(())
    }

    fn find(&mut self, id: &str) -> Option<(usize, &mut Sent)> {
        let number = *self.ids.get(id)?;
        self.sent.get_mut(number).map(|sent| (number, sent))
    }

    fn answer(&mut self, line: &Line, answer: Answer) -> Result<(), String> {
        let id = line.text("id")?;
        let Some((_, sent)) = self.find(id) else {
            return Err(format!("{id} was answered, but not sent"));
        };
        if sent.answer != Answer::Unknown {
            return Err(format!("{id} was answered before"));
        }
        sent.answer = answer;
        Ok(())
    }

    fn ok(&mut self, line: &Line) -> Result<(), String> {
        let state = line.text("state")?;
        let answer = match rank(state) {
            Some(1 | 2) => Answer::Accepted,
            Some(3 | 4) => Answer::Stored,
            _ => {
                return Err(format!(
                    "`{state}` is not the state of a send that went well"
                ));
            }
        };
        self.answer(line, answer)
    }

    fn open(&mut self, line: &Line) -> Result<(), String> {
        let name = line.text("consumer")?;
        let after = line.cursor("after")?;
        let node = self.nodes.number(line.text("where")?);
        let number = self.consumer_names.number(name);
        self.verdict.totals.streams = self.verdict.totals.streams.saturating_add(1);
        let consumer = self.consumers.entry(number).or_insert(Consumer {
            node,
            last: 0,
            seen: Vec::new(),
            excused: false,
        });
        if consumer.last != after {
            let said = format!(
                "consumer {name} resumed behind event {after}, but had dealt with {}",
                consumer.last
            );
            consumer.last = after;
            self.broken(Kind::Stream, said);
        }
        Ok(())
    }

    fn consumer(&mut self, line: &Line) -> Result<(usize, &mut Consumer), String> {
        let name = line.text("consumer")?;
        let missing = || format!("consumer {name} has no stream open");
        let number = self.consumer_names.known(name).ok_or_else(missing)?;
        let consumer = self.consumers.get_mut(&number).ok_or_else(missing)?;
        Ok((number, consumer))
    }

    /// Moves a consumer to the event of this line: it has to be the next one.
    fn advance(&mut self, line: &Line) -> Result<(), String> {
        let event = line.cursor("cursor")?;
        let (_, consumer) = self.consumer(line)?;
        let expected = consumer.last.saturating_add(1);
        consumer.last = event;
        if event == expected {
            return Ok(());
        }
        let name = line.text("consumer")?;
        let what = line.optional("id").map_or_else(
            || format!("event {event}"),
            |id| format!("event {event} with id {id}"),
        );
        let (kind, said) = if event > expected {
            (Kind::Stream, "was skipped without a gap")
        } else {
            (Kind::Duplicated, "was the next one")
        };
        let said = format!("consumer {name} was given {what}, but {expected} {said}");
        self.broken(kind, said);
        Ok(())
    }

    fn seen(&mut self, line: &Line) -> Result<(), String> {
        self.advance(line)?;
        let id = line.text("id")?;
        let inward = line.text("dir")? == "in";
        let from = self.nodes.number(line.text("from")?);
        let (name, consumer) = self.consumer(line)?;
        let node = consumer.node;
        let Some((number, sent)) = self.find(id) else {
            self.broken(
                Kind::Duplicated,
                format!("{id} was seen, but nobody sent it"),
            );
            return Ok(());
        };
        let meant = if inward { sent.to } else { sent.from };
        if sent.from != from || meant != node {
            self.broken(
                Kind::State,
                format!("{id} was seen where it does not belong"),
            );
            return Ok(());
        }
        if !inward {
            return Ok(());
        }
        sent.late |= line.list("marks").any(|mark| mark == "late");
        let times = sent.seen.entry(name).or_default();
        *times = times.saturating_add(1);
        self.verdict.totals.seen = self.verdict.totals.seen.saturating_add(1);
        let (_, consumer) = self.consumer(line)?;
        consumer.seen.push(number);
        Ok(())
    }

    fn state(&mut self, line: &Line) -> Result<(), String> {
        self.advance(line)?;
        let word = line.text("state")?;
        let Some(to) = rank(word) else {
            return Err(format!("`{word}` is no state"));
        };
        let (name, _) = self.consumer(line)?;
        for id in line.list("ids") {
            let Some((_, sent)) = self.find(id) else {
                self.broken(Kind::State, format!("{id} has a state, but nobody sent it"));
                continue;
            };
            let before = sent.rank.insert(name, to);
            if before.is_some_and(|before| before > to) {
                self.broken(Kind::State, format!("{id} went back to {word}"));
            }
        }
        Ok(())
    }

    fn gap(&mut self, line: &Line) -> Result<(), String> {
        let cause = line.text("cause")?;
        match cause {
            "retention" => {
                let resume = line.cursor("resume")?;
                let (_, consumer) = self.consumer(line)?;
                consumer.last = resume;
                consumer.excused = true;
            }
            // An earlier life of the author is late; what it said is marked when it comes.
            "unavailable" => self.advance(line)?,
            other => {
                if line.optional("cursor").is_some() {
                    self.advance(line)?;
                }
                let said = format!(
                    "consumer {} was told of a gap that no fault of the run explains: {other}",
                    line.text("consumer")?
                );
                self.broken(Kind::Stream, said);
                return Ok(());
            }
        }
        self.verdict.totals.gaps = self.verdict.totals.gaps.saturating_add(1);
        Ok(())
    }

    fn pair(&mut self, line: &Line) -> Result<(usize, usize), String> {
        let node = self.nodes.number(line.text("where")?);
        Ok((node, self.nodes.number(line.text("peer")?)))
    }

    fn row(&mut self, line: &Line) -> Result<(), String> {
        let pair = self.pair(line)?;
        let id = line.text("id")?;
        let from = self.nodes.number(line.text("from")?);
        let inward = line.text("dir")? == "in";
        let at = line.text("where")?;
        let Some((number, sent)) = self.find(id) else {
            self.broken(
                Kind::Duplicated,
                format!("{id} is in the history of {at}, but nobody sent it"),
            );
            return Ok(());
        };
        let belongs = if inward {
            (sent.to, sent.from) == pair && sent.from == from
        } else {
            (sent.from, sent.to) == pair && sent.from == from
        };
        if inward {
            sent.rows_in = sent.rows_in.saturating_add(1);
        } else {
            sent.rows_out = sent.rows_out.saturating_add(1);
            let cause = line.optional("cause").map(ToOwned::to_owned);
            sent.ended = Some((line.text("state")?.to_owned(), cause));
        }
        if !belongs {
            let said = format!("{id} is in the history of {at}, where it does not belong");
            self.broken(Kind::State, said);
        } else if inward {
            self.conversations
                .entry(pair)
                .or_default()
                .rows
                .push(number);
        }
        Ok(())
    }

    fn ready(&mut self, line: &Line) -> Result<(), String> {
        let took = line.number("ms")?;
        self.verdict.totals.ready_ms.push(took);
        let Some(limit) = self.ready_limit_ms else {
            return Err("no `start` line says how long a start may take".to_owned());
        };
        if took > limit {
            let said = format!(
                "{} was ready after {took} ms, not {limit}",
                line.text("node")?
            );
            self.broken(Kind::Start, said);
        }
        Ok(())
    }

    fn term(&mut self, line: &Line) -> Result<(), String> {
        let (node, code, took) = (line.text("node")?, line.signed("code")?, line.number("ms")?);
        if code != 0 || took > TERM_LIMIT_MS {
            let said = format!("{node} ended with {code}, {took} ms after SIGTERM");
            self.broken(Kind::Start, said);
        }
        Ok(())
    }

    /// The judgement of all lines.
    pub(super) fn finish(mut self) -> Verdict {
        self.whole();
        let sent = std::mem::take(&mut self.sent);
        for message in &sent {
            self.message(message);
        }
        let consumers = std::mem::take(&mut self.consumers);
        for (number, consumer) in &consumers {
            let at = format!("consumer {}", self.consumer_names.text(*number));
            self.in_order(&sent, consumer.seen.iter(), &at);
            self.seen_all(&sent, *number, consumer);
        }
        let conversations = std::mem::take(&mut self.conversations);
        for ((node, _), conversation) in &conversations {
            let at = format!("the history of {}", self.nodes.text(*node));
            self.in_order(&sent, conversation.rows.iter().rev(), &at);
        }
        self.verdict
    }

    fn whole(&mut self) {
        if !self.ended {
            let said = "the file has no `end` line: the run was cut off".to_owned();
            self.broken(Kind::Form, said);
        }
        if self.sent.is_empty() {
            self.broken(Kind::Form, "nothing was sent".to_owned());
        }
        let mut missing = Vec::new();
        for sent in &self.sent {
            for pair in [(sent.to, sent.from), (sent.from, sent.to)] {
                let read = self.conversations.get(&pair).is_some_and(|c| c.whole);
                if !read && !missing.contains(&pair) {
                    missing.push(pair);
                }
            }
        }
        for (node, peer) in missing {
            let (node, peer) = (self.nodes.text(node), self.nodes.text(peer));
            let said = format!("the history of {node} with {peer} was not read to its end");
            self.broken(Kind::Form, said);
        }
    }

    fn message(&mut self, sent: &Sent) {
        let id = &sent.id;
        let recipient = self.nodes.text(sent.to).to_owned();
        let totals = &mut self.verdict.totals;
        totals.sent = totals.sent.saturating_add(1);
        let counter = match &sent.answer {
            Answer::Unknown => &mut totals.unknown,
            Answer::Failed(_) => &mut totals.failed,
            Answer::Accepted | Answer::Stored => &mut totals.ok,
        };
        *counter = counter.saturating_add(1);
        if sent.rows_in > 1 || sent.rows_out > 1 {
            let times = sent.rows_in.max(sent.rows_out);
            self.broken(
                Kind::Duplicated,
                format!("{id} is {times} times in one history"),
            );
        }
        match &sent.answer {
            Answer::Failed(cause) if !CAUSES.contains(&cause.as_str()) => {
                let said = format!("{id} failed with {cause}, which no fault of the run explains");
                self.broken(Kind::State, said);
            }
            Answer::Stored if sent.rows_in == 0 => {
                let said =
                    format!("{id} was acknowledged, but is not in the history of {recipient}");
                self.broken(Kind::Lost, said);
            }
            Answer::Accepted if sent.rows_in == 0 && !sent.ended_failed() => {
                let said = format!("{id} was accepted, but is not in the history of {recipient}");
                self.broken(Kind::Lost, said);
            }
            _ => {}
        }
        if sent.is_ok() {
            self.ended_well(sent);
        }
    }

    fn ended_well(&mut self, sent: &Sent) {
        let id = &sent.id;
        let said = match &sent.ended {
            None => format!("{id} was accepted, but is not in its sender's own history"),
            Some((state, _)) if state == "stored" || state == "read" => return,
            Some((state, Some(cause))) if state == "failed" => {
                if CAUSES.contains(&cause.as_str()) && sent.answer == Answer::Accepted {
                    return;
                }
                format!("{id} ended as failed with {cause} after its acknowledgement")
            }
            Some((state, None)) if state == "failed" => format!("{id} failed without a cause"),
            Some((state, _)) => format!("{id} is still {state} at the end"),
        };
        self.broken(Kind::State, said);
    }

    fn in_order<'a>(&mut self, sent: &[Sent], seen: impl Iterator<Item = &'a usize>, at: &str) {
        let mut newest: BTreeMap<usize, &Sent> = BTreeMap::new();
        for message in seen.filter_map(|number| sent.get(*number)) {
            if !message.is_ok() || message.late {
                continue;
            }
            let before = newest.get(&message.lane);
            if let Some(before) = before.filter(|before| before.place > message.place) {
                let said = format!(
                    "{at}: {} comes after {}, which was sent later",
                    message.id, before.id
                );
                self.broken(Kind::Order, said);
            } else {
                newest.insert(message.lane, message);
            }
        }
    }

    fn seen_all(&mut self, sent: &[Sent], number: usize, consumer: &Consumer) {
        let name = self.consumer_names.text(number).to_owned();
        for message in sent.iter().filter(|message| message.to == consumer.node) {
            let id = &message.id;
            match message.seen.get(&number).copied().unwrap_or(0) {
                0 if message.rows_in > 0 && !consumer.excused => {
                    let said = format!("{id} is in the history, but consumer {name} never saw it");
                    self.broken(Kind::Lost, said);
                }
                0 | 1 => {}
                times => {
                    let said = format!("{id} was seen {times} times by consumer {name}");
                    self.broken(Kind::Duplicated, said);
                }
            }
        }
    }
}
