//! Values of a column with their levels, as Parquet wants them.
//!
//! A value within maps and lists has a *repetition level*, which says in which of them it continues (0:
//! it begins a row), and a *definition level*, which says how many of them have something in them
//! ("Dremel: Interactive Analysis of Web-Scale Datasets", section 4). A row whose map or list is empty
//! has levels and no value.

use bytes::Bytes;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::writer::SerializedRowGroupWriter;
use std::io::Write;

/// The two levels of a value, or of a place where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Levels {
    pub(crate) repetition: i16,
    pub(crate) definition: i16,
}

/// A column of numbers.
#[derive(Debug, Default)]
pub(crate) struct Numbers<T> {
    values: Vec<T>,
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
}

/// A column of texts, which lie one after the other in one buffer.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    buffer: Vec<u8>,
    ends: Vec<usize>,
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
}

/// The two columns of a map of texts.
#[derive(Debug, Default)]
pub(crate) struct Maps {
    keys: Texts,
    values: Texts,
}

impl<T> Numbers<T> {
    /// A value of a column that has no levels.
    pub(crate) fn push(&mut self, value: T) {
        self.values.push(value);
    }

    pub(crate) fn push_at(&mut self, value: T, levels: Levels) {
        self.values.push(value);
        self.none_at(levels);
    }

    pub(crate) fn none_at(&mut self, levels: Levels) {
        self.definitions.push(levels.definition);
        self.repetitions.push(levels.repetition);
    }
}

impl Texts {
    /// A value of a column that has no levels.
    pub(crate) fn push(&mut self, text: &str) {
        self.buffer.extend_from_slice(text.as_bytes());
        self.ends.push(self.buffer.len());
    }

    pub(crate) fn push_at(&mut self, text: &str, levels: Levels) {
        self.push(text);
        self.none_at(levels);
    }

    pub(crate) fn none_at(&mut self, levels: Levels) {
        self.definitions.push(levels.definition);
        self.repetitions.push(levels.repetition);
    }

    fn bytes(&self) -> usize {
        self.buffer.len() + self.ends.len() * size_of::<usize>()
    }

    /// The texts as slices of their buffer; the column is empty then.
    fn take(&mut self) -> Vec<ByteArray> {
        let buffer = Bytes::from(std::mem::take(&mut self.buffer));
        let ends = std::mem::take(&mut self.ends);
        let begins = std::iter::once(0).chain(ends.iter().copied());
        let slices = begins.zip(&ends).map(|(from, to)| buffer.slice(from..*to));
        slices.map(ByteArray::from).collect()
    }
}

impl Maps {
    /// One map at this place, which lies in `definition` lists that have something in them. A key that
    /// is there more than once has its last value: a map of Parquet has each key once.
    pub(crate) fn push<'a>(
        &mut self,
        entries: &mut Vec<(&'a str, std::borrow::Cow<'a, str>)>,
        place: Levels,
    ) {
        if entries.is_empty() {
            self.keys.none_at(place);
            self.values.none_at(place);
            return;
        }
        // The sort is stable: of equal keys the last is the last.
        entries.sort_by_key(|(key, _)| *key);
        let within = Levels {
            // The entries repeat one level below what the map itself is repeated in.
            repetition: place.definition + 1,
            definition: place.definition + 1,
        };
        let mut levels = Levels {
            repetition: place.repetition,
            ..within
        };
        for (at, (key, value)) in entries.iter().enumerate() {
            if entries.get(at + 1).is_some_and(|(next, _)| next == key) {
                continue;
            }
            self.keys.push_at(key, levels);
            self.values.push_at(value, levels);
            levels = within;
        }
    }

    pub(crate) fn none_at(&mut self, levels: Levels) {
        self.keys.none_at(levels);
        self.values.none_at(levels);
    }
}

/// A column, or the columns of a group, that can be written to a row group and are empty then.
pub(crate) trait Column {
    /// About how many bytes it holds.
    fn bytes(&self) -> usize;

    /// Writes it as the next of the row group.
    fn write<W: Write + Send>(
        &mut self,
        rows: &mut SerializedRowGroupWriter<'_, W>,
    ) -> Result<(), ParquetError>;
}

impl Column for Numbers<i64> {
    fn bytes(&self) -> usize {
        self.values.len() * size_of::<i64>()
    }

    fn write<W: Write + Send>(
        &mut self,
        rows: &mut SerializedRowGroupWriter<'_, W>,
    ) -> Result<(), ParquetError> {
        let values = std::mem::take(&mut self.values);
        let levels = (&mut self.definitions, &mut self.repetitions);
        write_column::<Int64Type, W>(rows, &values, levels)
    }
}

impl Column for Numbers<i32> {
    fn bytes(&self) -> usize {
        self.values.len() * size_of::<i32>()
    }

    fn write<W: Write + Send>(
        &mut self,
        rows: &mut SerializedRowGroupWriter<'_, W>,
    ) -> Result<(), ParquetError> {
        let values = std::mem::take(&mut self.values);
        let levels = (&mut self.definitions, &mut self.repetitions);
        write_column::<Int32Type, W>(rows, &values, levels)
    }
}

impl Column for Texts {
    fn bytes(&self) -> usize {
        Texts::bytes(self)
    }

    fn write<W: Write + Send>(
        &mut self,
        rows: &mut SerializedRowGroupWriter<'_, W>,
    ) -> Result<(), ParquetError> {
        let values = self.take();
        let levels = (&mut self.definitions, &mut self.repetitions);
        write_column::<ByteArrayType, W>(rows, &values, levels)
    }
}

impl Column for Maps {
    fn bytes(&self) -> usize {
        self.keys.bytes() + self.values.bytes()
    }

    fn write<W: Write + Send>(
        &mut self,
        rows: &mut SerializedRowGroupWriter<'_, W>,
    ) -> Result<(), ParquetError> {
        Column::write(&mut self.keys, rows)?;
        Column::write(&mut self.values, rows)
    }
}

fn write_column<T: DataType, W: Write + Send>(
    rows: &mut SerializedRowGroupWriter<'_, W>,
    values: &[T::T],
    (definitions, repetitions): (&mut Vec<i16>, &mut Vec<i16>),
) -> Result<(), ParquetError> {
    let Some(mut column) = rows.next_column()? else {
        return Err(ParquetError::General(
            "the schema has no such column".to_owned(),
        ));
    };
    column
        .typed::<T>()
        .write_batch(values, levels(definitions), levels(repetitions))?;
    column.close()?;
    definitions.clear();
    repetitions.clear();
    Ok(())
}

/// A column that is not within a list or a map has none.
fn levels(levels: &[i16]) -> Option<&[i16]> {
    (!levels.is_empty()).then_some(levels)
}
