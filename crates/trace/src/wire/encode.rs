//! Spans of any batches put together to one message.

use bytes::Bytes;

use super::Span;

/// Spans that share resource and scope.
struct Scope<'s, 'a> {
    header: Vec<&'a [u8]>,
    spans: Vec<&'s Span<'a>>,
    size: usize,
}

/// Scopes that share a resource.
struct Resource<'s, 'a> {
    header: Vec<&'a [u8]>,
    scopes: Vec<Scope<'s, 'a>>,
    size: usize,
}

/// A `TracesData` message of these spans. Spans whose resource and scope are the same bytes share them;
/// each span's bytes are as they were received.
pub fn encode(spans: &[Span<'_>]) -> Bytes {
    let resources = grouped(spans);
    let size = resources.iter().map(|group| field_size(group.size)).sum();
    let mut out = Vec::with_capacity(size);
    for resource in &resources {
        put_tag(&mut out, 1, resource.size);
        for header in &resource.header {
            out.extend_from_slice(header);
        }
        for scope in &resource.scopes {
            put_tag(&mut out, 2, scope.size);
            for header in &scope.header {
                out.extend_from_slice(header);
            }
            for span in &scope.spans {
                put_tag(&mut out, 2, span.bytes.len());
                out.extend_from_slice(span.bytes);
            }
        }
    }
    debug_assert_eq!(out.len(), size);
    out.into()
}

/// Bytes that [`encode`] makes of these spans.
pub fn encoded_size(spans: &[Span<'_>]) -> usize {
    let resources = grouped(spans);
    resources.iter().map(|group| field_size(group.size)).sum()
}

fn grouped<'s, 'a>(spans: &'s [Span<'a>]) -> Vec<Resource<'s, 'a>> {
    let mut resources: Vec<Resource<'s, 'a>> = Vec::new();
    // Neighbours mostly share both, and often are the same slices of one body.
    let mut latest = (0, 0);
    for span in spans {
        let (at_resource, at_scope) = match resources.get(latest.0) {
            Some(group)
                if is_header(&group.header, span.body, span.resource)
                    && is_header(&group.scopes[latest.1].header, span.body, span.scope) =>
            {
                latest
            }
            _ => place(&mut resources, span),
        };
        latest = (at_resource, at_scope);
        let scope = &mut resources[at_resource].scopes[at_scope];
        scope.size += field_size(span.bytes.len());
        scope.spans.push(span);
    }
    for resource in &mut resources {
        let scopes: usize = resource.scopes.iter().map(|s| field_size(s.size)).sum();
        resource.size += scopes;
    }
    resources
}

fn place<'s, 'a>(resources: &mut Vec<Resource<'s, 'a>>, span: &Span<'a>) -> (usize, usize) {
    let same = |group: &Resource<'s, 'a>| is_header(&group.header, span.body, span.resource);
    let at_resource = resources.iter().position(same).unwrap_or_else(|| {
        let header = header(span.body, span.resource);
        resources.push(Resource {
            size: header.iter().map(|part| part.len()).sum(),
            header,
            scopes: Vec::new(),
        });
        resources.len() - 1
    });
    let scopes = &mut resources[at_resource].scopes;
    let same = |group: &Scope<'s, 'a>| is_header(&group.header, span.body, span.scope);
    let at_scope = scopes.iter().position(same).unwrap_or_else(|| {
        let header = header(span.body, span.scope);
        scopes.push(Scope {
            size: header.iter().map(|part| part.len()).sum(),
            header,
            spans: Vec::new(),
        });
        scopes.len() - 1
    });
    (at_resource, at_scope)
}

fn header<'a>(body: &'a [u8], ranges: &[(u32, u32)]) -> Vec<&'a [u8]> {
    let slice = |(from, to): &(u32, u32)| &body[*from as usize..*to as usize];
    ranges.iter().map(slice).collect()
}

fn is_header(header: &[&[u8]], body: &[u8], ranges: &[(u32, u32)]) -> bool {
    header.len() == ranges.len()
        && header.iter().zip(ranges).all(|(part, (from, to))| {
            let other = &body[*from as usize..*to as usize];
            (part.as_ptr(), part.len()) == (other.as_ptr(), other.len()) || *part == other
        })
}

/// Of a length-delimited field with a number below 16.
fn field_size(content: usize) -> usize {
    let bits = (content | 1).ilog2() as usize + 1;
    1 + bits.div_ceil(7) + content
}

fn put_tag(out: &mut Vec<u8>, field: u8, length: usize) {
    out.push(field << 3 | 2);
    let mut left = length;
    while left >= 0x80 {
        out.push(left as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
}
