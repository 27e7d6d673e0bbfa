//! The encodings, for derived code.

/// Items for derived code. Not part of the public interface.
#[allow(unreachable_pub, reason = "reached by derived code, under another name")]
pub mod private {
    use std::marker::PhantomData;

    use bytemuck::checked::CheckedCastError;
    use bytemuck::{CheckedBitPattern, NoUninit, PodCastError};
    use postcard::ser_flavors::Flavor;
    use serde::{Deserialize, Serialize};
    use zerocopy::{ConvertError, Immutable, IntoBytes, KnownLayout, TryFromBytes};

    use crate::frame::MAX_PAYLOAD_ALIGN;
    use crate::message::{DecodeError, EncodeError};
    use crate::schema::{self, SchemaMismatch, Table};

    /// The traits that the postcard encoding needs.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` is a message in the encoding postcard, but serde cannot serialize and deserialize it",
        label = "`serde::Serialize` or `serde::Deserialize` is missing",
        note = "add `#[derive(serde::Serialize, serde::Deserialize)]` to `{Self}`"
    )]
    pub trait PostcardTraits<'de>: Serialize + Deserialize<'de> {}

    #[diagnostic::do_not_recommend]
    impl<'de, T: Serialize + Deserialize<'de>> PostcardTraits<'de> for T {}

    /// The traits that the JSON encoding needs.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` is a message in the encoding JSON, but serde cannot serialize and deserialize it",
        label = "`serde::Serialize` or `serde::Deserialize` is missing",
        note = "add `#[derive(serde::Serialize, serde::Deserialize)]` to `{Self}`"
    )]
    pub trait JsonTraits<'de>: Serialize + Deserialize<'de> {}

    #[diagnostic::do_not_recommend]
    impl<'de, T: Serialize + Deserialize<'de>> JsonTraits<'de> for T {}

    /// The trait that a generic type needs, to be encoded in postcard.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` is a message in the encoding postcard, but serde cannot serialize it",
        label = "`serde::Serialize` is missing",
        note = "add `#[derive(serde::Serialize, serde::Deserialize)]` to `{Self}`"
    )]
    pub trait PostcardEncode: Serialize {}

    #[diagnostic::do_not_recommend]
    impl<T: Serialize> PostcardEncode for T {}

    /// The traits that the zerocopy encoding needs.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` is a message in the encoding zerocopy, but lacks some of zerocopy's traits",
        label = "one or more of `TryFromBytes`, `IntoBytes`, `KnownLayout` and `Immutable` are missing",
        note = "add `#[derive(zerocopy::TryFromBytes, zerocopy::IntoBytes, zerocopy::KnownLayout, zerocopy::Immutable)]` to `{Self}`, \
                and `#[repr(C)]`, or for an enum `#[repr(u8)]`"
    )]
    pub trait ZerocopyTraits: TryFromBytes + IntoBytes + KnownLayout + Immutable {}

    #[diagnostic::do_not_recommend]
    impl<T: TryFromBytes + IntoBytes + KnownLayout + Immutable> ZerocopyTraits for T {}

    /// The traits that the bytemuck encoding needs.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` is a message in the encoding bytemuck, but lacks some of bytemuck's traits",
        label = "`NoUninit` or `CheckedBitPattern` is missing; `Pod` implies both",
        note = "add `#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]` to `{Self}`, and `#[repr(C)]`; if some bytes are \
                not a valid value, as for a `bool` or an enum, use `#[derive(Clone, Copy, bytemuck::NoUninit, bytemuck::CheckedBitPattern)]`"
    )]
    pub trait BytemuckTraits: NoUninit + CheckedBitPattern {}

    #[diagnostic::do_not_recommend]
    impl<T: NoUninit + CheckedBitPattern> BytemuckTraits for T {}

    /// Does nothing at run time. If traits are missing, this call is the only compile error in
    /// derived code: see [`Missing`].
    #[inline(always)]
    pub fn require_postcard<'de, T: PostcardTraits<'de>>() {}

    /// Like [`require_postcard`].
    #[inline(always)]
    pub fn require_json<'de, T: JsonTraits<'de>>() {}

    /// Like [`require_postcard`].
    #[inline(always)]
    pub fn require_zerocopy<T: ZerocopyTraits>() {}

    /// Like [`require_postcard`].
    #[inline(always)]
    pub fn require_bytemuck<T: BytemuckTraits>() {}

    /// The alignment of a plain message and so of its payload.
    ///
    /// # Panics
    ///
    /// If the alignment is larger than a frame allows. In a constant, that is a compile error.
    pub const fn payload_align<T>() -> usize {
        assert!(
            align_of::<T>() <= MAX_PAYLOAD_ALIGN,
            "a message is aligned to more than 64 bytes, the maximum for a payload: reduce its `align(...)`, or use the encoding postcard"
        );
        align_of::<T>()
    }

    /// The postcard encoding.
    pub struct Postcard<T>(PhantomData<fn() -> T>);

    /// The postcard encoding, for a payload that lives for `'de`.
    pub struct FromPostcard<'de, T>(PhantomData<fn(&'de ()) -> T>);

    /// The JSON encoding.
    pub struct Json<T>(PhantomData<fn() -> T>);

    /// The JSON encoding, for a payload that lives for `'de`.
    pub struct FromJson<'de, T>(PhantomData<fn(&'de ()) -> T>);

    /// The zerocopy encoding.
    pub struct Zerocopy<T>(PhantomData<fn() -> T>);

    /// The bytemuck encoding.
    pub struct Bytemuck<T>(PhantomData<fn() -> T>);

    /// The functions that derived code calls if traits of the encoding are missing. They never run,
    /// because such code does not compile.
    ///
    /// `Zerocopy::<Point>::encode` is the inherent function if `Point` has the required traits, and
    /// otherwise the function of this trait. So derived code has one compile error, and not one for
    /// each call and each trait.
    pub trait Missing<T>: Sized {
        #[allow(missing_docs, clippy::missing_errors_doc, reason = "never runs")]
        fn encode(_: &T, _: &mut Vec<u8>) -> Result<(), EncodeError> {
            unreachable!()
        }

        #[allow(missing_docs, clippy::missing_errors_doc, reason = "never runs")]
        fn decode(_: &[u8]) -> Result<T, DecodeError> {
            unreachable!()
        }

        #[allow(missing_docs, clippy::missing_errors_doc, reason = "never runs")]
        fn check(_: &T, _: &Table) -> Result<(), SchemaMismatch> {
            unreachable!()
        }

        #[allow(missing_docs, clippy::missing_errors_doc, reason = "never runs")]
        fn decode_by(_: &Table, _: &[u8]) -> Result<T, DecodeError> {
            unreachable!()
        }

        #[allow(missing_docs, reason = "never runs")]
        fn bytes(_: &T) -> &[u8] {
            unreachable!()
        }

        #[allow(missing_docs, clippy::missing_errors_doc, reason = "never runs")]
        fn view(_: &[u8]) -> Result<&T, DecodeError> {
            unreachable!()
        }

        #[allow(missing_docs, clippy::missing_errors_doc, reason = "never runs")]
        fn view_mut(_: &mut [u8]) -> Result<&mut T, DecodeError> {
            unreachable!()
        }
    }

    impl<T> Missing<T> for Postcard<T> {}
    impl<T> Missing<T> for FromPostcard<'_, T> {}
    impl<T> Missing<T> for Json<T> {}
    impl<T> Missing<T> for FromJson<'_, T> {}
    impl<T> Missing<T> for Zerocopy<T> {}
    impl<T> Missing<T> for Bytemuck<T> {}

    /// Appends the output of `postcard` to a vector.
    struct Append<'a>(&'a mut Vec<u8>);

    impl Flavor for Append<'_> {
        type Output = ();

        fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
            self.0.push(byte);
            Ok(())
        }

        fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
            self.0.extend_from_slice(bytes);
            Ok(())
        }

        fn finalize(self) -> postcard::Result<()> {
            Ok(())
        }
    }

    impl<T: Serialize> Postcard<T> {
        /// # Errors
        ///
        /// The value contains something that postcard cannot encode, such as a sequence of unknown
        /// length.
        #[inline]
        pub fn encode(value: &T, payload: &mut Vec<u8>) -> Result<(), EncodeError> {
            postcard::serialize_with_flavor(value, Append(payload)).map_err(EncodeError::Postcard)
        }
    }

    impl<T: Serialize> Postcard<T> {
        /// # Errors
        ///
        /// The value is serialized otherwise than the schema says.
        pub fn check(value: &T, schema: &Table) -> Result<(), SchemaMismatch> {
            schema::check(value, schema)
        }
    }

    impl<T: Serialize> Json<T> {
        /// # Errors
        ///
        /// The value contains something that JSON has no form for.
        pub fn encode(value: &T, payload: &mut Vec<u8>) -> Result<(), EncodeError> {
            serde_json::to_writer(payload, value).map_err(|error| EncodeError::Json(error.to_string()))
        }
    }

    impl<'de, T: Deserialize<'de>> FromJson<'de, T> {
        /// # Errors
        ///
        /// The payload is not JSON text of exactly one value.
        pub fn decode(payload: &'de [u8]) -> Result<T, DecodeError> {
            serde_json::from_slice(payload).map_err(|error| DecodeError::Json(error.to_string()))
        }
    }

    impl<'de, T: Deserialize<'de>> FromPostcard<'de, T> {
        /// # Errors
        ///
        /// The payload is not exactly one value.
        #[inline]
        pub fn decode(payload: &'de [u8]) -> Result<T, DecodeError> {
            let (value, rest) = postcard::take_from_bytes(payload).map_err(DecodeError::Postcard)?;
            if rest.is_empty() { Ok(value) } else { Err(DecodeError::TrailingBytes { left: rest.len() }) }
        }

        /// Decodes a value that was written by this schema, within limits.
        ///
        /// # Errors
        ///
        /// The payload is not such a value, or exceeds a limit.
        pub fn decode_by(schema: &Table, payload: &'de [u8]) -> Result<T, DecodeError> {
            schema::read(schema, payload).map_err(|error| DecodeError::Schema(Box::new(error)))
        }
    }

    impl<T: ZerocopyTraits> Zerocopy<T> {
        /// # Errors
        ///
        /// None: every value has bytes.
        #[inline]
        pub fn encode(value: &T, payload: &mut Vec<u8>) -> Result<(), EncodeError> {
            payload.extend_from_slice(value.as_bytes());
            Ok(())
        }

        /// # Errors
        ///
        /// The payload has the wrong length, or is not a valid value.
        #[inline]
        pub fn decode(payload: &[u8]) -> Result<T, DecodeError> {
            check_len::<T>(payload)?;
            T::try_read_from_bytes(payload).map_err(|_| DecodeError::Invalid)
        }

        /// The value's own bytes.
        #[inline]
        pub fn bytes(value: &T) -> &[u8] {
            value.as_bytes()
        }

        /// # Errors
        ///
        /// The payload has the wrong length, is not a valid value, or is not aligned.
        #[inline]
        pub fn view(payload: &[u8]) -> Result<&T, DecodeError> {
            check_len::<T>(payload)?;
            T::try_ref_from_bytes(payload).map_err(|error| refused::<T, _, _, _>(&error))
        }

        /// # Errors
        ///
        /// Those of [`view`](Self::view).
        #[inline]
        pub fn view_mut(payload: &mut [u8]) -> Result<&mut T, DecodeError> {
            check_len::<T>(payload)?;
            T::try_mut_from_bytes(payload).map_err(|error| refused::<T, _, _, _>(&error))
        }
    }

    fn refused<T, A, S, V>(error: &ConvertError<A, S, V>) -> DecodeError {
        match error {
            ConvertError::Alignment(_) => DecodeError::Alignment { needed: align_of::<T>() },
            _ => DecodeError::Invalid,
        }
    }

    impl<T: BytemuckTraits> Bytemuck<T> {
        /// # Errors
        ///
        /// None: every value has bytes.
        #[inline]
        pub fn encode(value: &T, payload: &mut Vec<u8>) -> Result<(), EncodeError> {
            payload.extend_from_slice(bytemuck::bytes_of(value));
            Ok(())
        }

        /// # Errors
        ///
        /// The payload has the wrong length, or is not a valid value.
        #[inline]
        pub fn decode(payload: &[u8]) -> Result<T, DecodeError> {
            check_len::<T>(payload)?;
            bytemuck::checked::try_pod_read_unaligned(payload).map_err(|_| DecodeError::Invalid)
        }

        /// The value's own bytes.
        #[inline]
        pub fn bytes(value: &T) -> &[u8] {
            bytemuck::bytes_of(value)
        }

        /// # Errors
        ///
        /// The payload has the wrong length, is not a valid value, or is not aligned.
        #[inline]
        pub fn view(payload: &[u8]) -> Result<&T, DecodeError> {
            check_len::<T>(payload)?;
            bytemuck::checked::try_from_bytes(payload).map_err(refused_by_bytemuck::<T>)
        }

        /// # Errors
        ///
        /// Those of [`view`](Self::view).
        #[inline]
        pub fn view_mut(payload: &mut [u8]) -> Result<&mut T, DecodeError> {
            check_len::<T>(payload)?;
            bytemuck::checked::try_from_bytes_mut(payload).map_err(refused_by_bytemuck::<T>)
        }
    }

    fn refused_by_bytemuck<T>(error: CheckedCastError) -> DecodeError {
        match error {
            CheckedCastError::PodCastError(PodCastError::TargetAlignmentGreaterAndInputNotAligned) => {
                DecodeError::Alignment { needed: align_of::<T>() }
            }
            _ => DecodeError::Invalid,
        }
    }

    #[inline]
    fn check_len<T>(payload: &[u8]) -> Result<(), DecodeError> {
        let (expected, found) = (size_of::<T>(), payload.len());
        if expected == found { Ok(()) } else { Err(DecodeError::Length { expected, found }) }
    }
}
