//! The columns of a file, in Parquet's own notation.

use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnPath, TypePtr};

/// One row for each span. `rows.rs` fills the columns in this order.
///
/// Maps and lists have the three levels of Parquet's `LogicalTypes.md`, which all readers know. Nothing
/// in them is optional: what is not there is an empty text, an empty map or an empty list, except for the
/// parent.
pub const SCHEMA: &str = "
message span {
  required binary trace_id (STRING);
  required binary span_id (STRING);
  optional binary parent_span_id (STRING);
  required binary trace_state (STRING);
  required int32 flags;
  required binary service (STRING);
  required binary name (STRING);
  required binary kind (STRING);
  required int64 start (TIMESTAMP(NANOS,true));
  required int64 end (TIMESTAMP(NANOS,true));
  required int64 duration_ns;
  required binary status (STRING);
  required binary status_message (STRING);
  required group attributes (MAP) {
    repeated group key_value {
      required binary key (STRING);
      required binary value (STRING);
    }
  }
  required group resource_attributes (MAP) {
    repeated group key_value {
      required binary key (STRING);
      required binary value (STRING);
    }
  }
  required binary scope_name (STRING);
  required binary scope_version (STRING);
  required group events (LIST) {
    repeated group list {
      required group element {
        required int64 time (TIMESTAMP(NANOS,true));
        required binary name (STRING);
        required group attributes (MAP) {
          repeated group key_value {
            required binary key (STRING);
            required binary value (STRING);
          }
        }
      }
    }
  }
  required group links (LIST) {
    repeated group list {
      required group element {
        required binary trace_id (STRING);
        required binary span_id (STRING);
        required binary trace_state (STRING);
        required group attributes (MAP) {
          repeated group key_value {
            required binary key (STRING);
            required binary value (STRING);
          }
        }
      }
    }
  }
  required binary verdict (STRING);
  required int64 revision;
  required int64 sealed_at (TIMESTAMP(NANOS,true));
}
";

/// What the schema above is called in a file, so that a reader can tell when it changes.
const VERSION: &str = "1";

pub(crate) fn schema() -> Result<TypePtr, ParquetError> {
    parse_message_type(SCHEMA).map(Arc::new)
}

pub(crate) fn properties() -> Result<WriterProperties, ParquetError> {
    // A dictionary of identifiers would be as long as the column.
    let unique = ["trace_id", "span_id", "parent_span_id"];
    let version = KeyValue::new("quorate.schema".to_owned(), VERSION.to_owned());
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        // Pages have none: least and greatest of a row group are what a query prunes by.
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by(concat!("quorate ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(vec![version]));
    for column in unique {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(column), false);
    }
    // Whoever looks for a trace skips the row groups that do not have it.
    Ok(properties
        .set_column_bloom_filter_enabled(ColumnPath::from("trace_id"), true)
        .build())
}
