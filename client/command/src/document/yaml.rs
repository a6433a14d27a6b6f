//! YAML as a tree that keeps the text and the place of every value.
//!
//! The tree does not guess types: whether `0123` is text or a number is up to the field. Aliases and merge keys are
//! resolved.

use std::collections::HashMap;

use granit_parser::{
    Event, Marker, Parser, ScalarStyle, ScanError, Span, StructureStyle, Tag, options,
};

use super::{Fault, Position, split, syntax};

/// A document of a job has three levels.
const MAX_DEPTH: usize = 32;
/// Limit of what aliases copy, so that a small text cannot expand without bound.
const MAX_COPIED: usize = 1_000_000;

/// The documents of a text and its errors. A syntax error ends the text.
#[derive(Debug, Default)]
pub(super) struct Text {
    pub(super) documents: Vec<Node>,
    pub(super) faults: Vec<Fault>,
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) at: Position,
    pub(super) content: Content,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    /// Nothing, `~` or `null`.
    Null,
    Text {
        text: String,
        is_plain: bool,
    },
    List {
        items: Vec<Node>,
        /// In brackets.
        is_flow: bool,
    },
    Map(Vec<Entry>),
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) at: Position,
    pub(super) value: Node,
}

/// Reads YAML, of which JSON is a part. Values of JSON may follow each other without a separator.
pub(super) fn parse(text: &str) -> Text {
    let mut all = Text::default();
    for (start, value) in split::objects(text).unwrap_or_else(|| vec![(Position::START, text)]) {
        let Text { documents, faults } = parse_from(start, value);
        all.documents.extend(documents);
        all.faults.extend(faults);
    }
    all
}

fn parse_from(start: Position, text: &str) -> Text {
    let options = options! { flow_nesting_limit: MAX_DEPTH, block_nesting_limit: MAX_DEPTH };
    let events = Parser::new_from_str_with_options(text, options);
    let mut builder =
        Builder { start, events, anchors: HashMap::new(), copied: 0, faults: Vec::new() };
    let mut documents = Vec::new();
    if let Err(fault) = builder.documents(&mut documents) {
        builder.faults.push(syntax::tab_before(text, &fault).unwrap_or(fault));
    }
    Text { documents, faults: builder.faults }
}

struct Builder<E> {
    start: Position,
    events: E,
    anchors: HashMap<usize, Node>,
    copied: usize,
    faults: Vec<Fault>,
}

impl<'t, E: Iterator<Item = Result<(Event<'t>, Span), ScanError>>> Builder<E> {
    fn documents(&mut self, documents: &mut Vec<Node>) -> Result<(), Fault> {
        while let Some((event, span)) = self.next()? {
            match event {
                Event::Scalar(..)
                | Event::SequenceStart(..)
                | Event::MappingStart(..)
                | Event::Alias(_) => documents.push(self.node(event, span)?),
                _ => {}
            }
        }
        Ok(())
    }

    /// The next event that is not a comment.
    fn next(&mut self) -> Result<Option<(Event<'t>, Span)>, Fault> {
        loop {
            match self.events.next().transpose().map_err(|error| self.syntax(&error))? {
                Some((Event::Comment(..), _)) => {}
                next => return Ok(next),
            }
        }
    }

    fn node(&mut self, event: Event<'t>, span: Span) -> Result<Node, Fault> {
        let at = self.position(span.tag_start().unwrap_or(span.start));
        let (anchor, content) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                (anchor, self.scalar(at, &text, style, tag.as_deref()))
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.check_tag(at, tag.as_deref());
                (anchor, self.list(style == StructureStyle::Flow)?)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.check_tag(at, tag.as_deref());
                (anchor, self.map()?)
            }
            Event::Alias(anchor) => return self.alias(anchor, at),
            _ => return Err(fault(at, "expected a value")),
        };
        let node = Node { at, content };
        if anchor != 0 {
            if depth(&node) > MAX_DEPTH {
                return Err(fault(at, "too deep"));
            }
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn scalar(
        &mut self,
        at: Position,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
    ) -> Content {
        self.check_tag(at, tag);
        let is_plain = style == ScalarStyle::Plain && tag.is_none();
        if is_plain && ["", "~", "null", "Null", "NULL"].contains(&text) {
            return Content::Null;
        }
        Content::Text { text: text.to_owned(), is_plain }
    }

    fn list(&mut self, is_flow: bool) -> Result<Content, Fault> {
        let mut items = Vec::new();
        while let Some((event, span)) = self.next()? {
            if event == Event::SequenceEnd {
                break;
            }
            items.push(self.node(event, span)?);
        }
        Ok(Content::List { items, is_flow })
    }

    fn map(&mut self) -> Result<Content, Fault> {
        let (mut entries, mut merged): (Vec<Entry>, Vec<Node>) = (Vec::new(), Vec::new());
        while let Some((event, span)) = self.next()? {
            if event == Event::MappingEnd {
                break;
            }
            let at = self.position(span.start);
            let key = self.key(event, span)?;
            let Some((event, span)) = self.next()? else { break };
            let value = self.node(event, span)?;
            let first = entries.iter().find(|entry| entry.key == key);
            match first {
                Some(first) => {
                    let reason = format!("{key} is given twice, first at line {}", first.at.line);
                    self.faults.push(Fault { at, reason });
                }
                None if key == "<<" => merged.push(value),
                None => entries.push(Entry { key, at, value }),
            }
        }
        for node in merged {
            self.merge(&mut entries, node);
        }
        Ok(Content::Map(entries))
    }

    fn key(&mut self, event: Event<'t>, span: Span) -> Result<String, Fault> {
        if let Event::Scalar(text, ..) = event {
            return Ok(text.into_owned());
        }
        self.node(event, span)?;
        self.faults.push(fault(
            self.position(span.start),
            "a field name must be text; quote text that has braces",
        ));
        Ok(String::new())
    }

    /// Adds the entries of a merge key that are not there yet.
    fn merge(&mut self, entries: &mut Vec<Entry>, node: Node) {
        match node.content {
            Content::Map(more) => {
                for entry in more {
                    if entries.iter().all(|known| known.key != entry.key) {
                        entries.push(entry);
                    }
                }
            }
            Content::List { items, .. } => {
                for item in items {
                    self.merge(entries, item);
                }
            }
            Content::Null | Content::Text { .. } => {
                self.faults
                    .push(fault(node.at, "<< takes an alias of fields, for example <<: *defaults"));
            }
        }
    }

    fn alias(&mut self, anchor: usize, at: Position) -> Result<Node, Fault> {
        let node =
            self.anchors.get(&anchor).ok_or_else(|| fault(at, "the alias contains itself"))?;
        self.copied = self.copied.saturating_add(size(node));
        if self.copied > MAX_COPIED {
            return Err(fault(at, "the aliases stand for too many values"));
        }
        Ok(node.clone())
    }

    fn position(&self, marker: Marker) -> Position {
        self.start.plus(marker.line(), marker.col() + 1)
    }

    fn syntax(&self, error: &ScanError) -> Fault {
        let reason = format!("not YAML: {}{}", error.info(), syntax::cause(error.kind()));
        Fault { at: self.position(*error.marker()), reason }
    }

    fn check_tag(&mut self, at: Position, tag: Option<&Tag>) {
        let is_known = |tag: &Tag| tag.is_yaml_core_schema() || tag.original() == "!";
        if let Some(tag) = tag.filter(|tag| !is_known(tag)) {
            let reason = format!(
                "the tag {} is not supported; quote text that starts with '!'",
                tag.original()
            );
            self.faults.push(Fault { at, reason });
        }
    }
}

fn depth(node: &Node) -> usize {
    1 + children(node).map(depth).max().unwrap_or_default()
}

fn size(node: &Node) -> usize {
    1 + children(node).map(size).sum::<usize>()
}

fn children(node: &Node) -> impl Iterator<Item = &Node> {
    let (items, entries) = match &node.content {
        Content::Null | Content::Text { .. } => ([].as_slice(), [].as_slice()),
        Content::List { items, .. } => (items.as_slice(), [].as_slice()),
        Content::Map(entries) => ([].as_slice(), entries.as_slice()),
    };
    items.iter().chain(entries.iter().map(|entry| &entry.value))
}

fn fault(at: Position, reason: &str) -> Fault {
    Fault { at, reason: reason.to_owned() }
}
