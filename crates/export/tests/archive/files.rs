//! When files end, and where they are.

use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use quorate_export::archive::{Archive, ArchiveError, Config, OfferError};
use tokio::runtime::Handle;

use crate::support::{
    Place, config, hasty, later, offer, read, spans_of, trace, until, until_archived,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_named_by_the_hour_and_what_is_in_it() {
    let place = Place::new();
    let archive = place.open(hasty());
    offer(&archive, &[trace(0xabc), trace(0xdef)]);
    until_archived(&archive).await;
    let name =
        "date=2026-11-21/hour=13/0000000001-0000000001-00000000000000000000000000000abc.parquet";
    assert_eq!(place.names(), [name]);
    let figures = archive.figures();
    assert_eq!((figures.files, figures.spans, figures.failures), (1, 4, 0));
    let bytes = std::fs::metadata(place.files().join(name)).unwrap().len();
    assert_eq!(figures.bytes, bytes);
    assert_eq!(
        std::fs::read_dir(place.queue().join("open"))
            .unwrap()
            .count(),
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_ends_with_the_hour() {
    let place = Place::new();
    let archive = place.open(config());
    offer(&archive, &[trace(1)]);
    offer(&archive, &[later(trace(2), 1)]);
    offer(&archive, &[later(trace(3), 1)]);
    until("a file", || archive.figures().files == 1).await;
    assert_eq!(place.spans(), spans_of(1..=1));
    drop(archive);
    let archive = place.open(hasty());
    until_archived(&archive).await;
    let names = place.names();
    assert!(
        names[0].starts_with("date=2026-11-21/hour=13/"),
        "{names:?}"
    );
    assert!(
        names[1].starts_with("date=2026-11-21/hour=14/"),
        "{names:?}"
    );
    assert_eq!((names.len(), place.spans()), (2, spans_of(1..=3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_ends_when_it_is_long() {
    let place = Place::new();
    let archive = place.open(Config {
        file_bytes: 4 << 10,
        ..config()
    });
    for id in 1..=400 {
        offer(&archive, &[trace(id)]);
    }
    until("files", || archive.figures().files >= 4).await;
    let rows: Vec<_> = place
        .names()
        .iter()
        .map(|name| read(&place.files().join(name)).len())
        .collect();
    let (least, most) = (rows.iter().min().unwrap(), rows.iter().max().unwrap());
    assert!(*least >= 50 && *most <= 2 * least, "{rows:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_file_has_several_row_groups() {
    let place = Place::new();
    let archive = place.open(hasty());
    // 45 MB of rows: more than one group.
    let traces: Vec<_> = (1..=1500)
        .map(|id| {
            let mut span = crate::support::full_span();
            span.trace_id = (id as u128).to_be_bytes().to_vec();
            span.status.as_mut().unwrap().message = "x".repeat(30_000);
            crate::support::sealed(vec![span])
        })
        .collect();
    for traces in traces.chunks(100) {
        offer(&archive, traces);
    }
    until_archived(&archive).await;
    assert_eq!(place.spans().len(), 1500);
    assert_eq!(archive.figures().spans, 1500);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_ends_before_it_takes_the_whole_queue() {
    let place = Place::new();
    let archive = place.open(Config {
        queue_bytes: 8 << 10,
        ..config()
    });
    for id in 1..=200 {
        loop {
            match archive.offer(&[trace(id)]) {
                Ok(durable) => break durable.wait().unwrap(),
                Err(OfferError::Full { .. }) => tokio::time::sleep(Duration::from_millis(1)).await,
                Err(error) => panic!("{error}"),
            }
        }
    }
    let before = archive.figures().files;
    assert!(
        before >= 10,
        "{before} files of some 4 kB, since the queue holds 8"
    );
    archive.close().await;
    let archive = place.open(hasty());
    until_archived(&archive).await;
    assert_eq!(place.spans(), spans_of(1..=200));
}

#[tokio::test(flavor = "multi_thread")]
async fn any_object_store_will_do() {
    let (place, store) = (Place::new(), Arc::new(InMemory::new()));
    let prefix = "a/b".into();
    let runtime = Handle::current();
    let archive =
        Archive::open_on(&place.queue(), store.clone(), prefix, hasty(), &runtime).unwrap();
    offer(&archive, &[trace(5)]);
    until_archived(&archive).await;
    let path = "a/b/date=2026-11-21/hour=13/\
                0000000001-0000000001-00000000000000000000000000000005.parquet";
    let object = store.head(&path.into()).await.unwrap();
    assert_eq!(object.size, archive.figures().bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_is_none_is_refused() {
    let place = Place::new();
    std::fs::create_dir_all(place.queue()).unwrap();
    std::fs::write(place.queue().join("file"), "").unwrap();
    let below_a_file = format!("file://{}/file/dir", place.queue().display());
    let file_elsewhere = "file://host/dir";
    for url in [
        "",
        "archive",
        "ftp://host/dir",
        "s3://",
        file_elsewhere,
        &below_a_file,
    ] {
        let opened = Archive::open(&place.queue(), url, config(), &Handle::current());
        let error = opened.err().unwrap();
        assert!(
            matches!(error, ArchiveError::Place { .. }),
            "{url}: {error}"
        );
    }
}
