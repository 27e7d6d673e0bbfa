//! The three encodings, as the derive calls them.

/// What derived code calls. Not part of the public interface.
#[allow(unreachable_pub, reason = "reached by derived code, under another name")]
pub mod private {
    use bytemuck::checked::CheckedCastError;
    use bytemuck::{CheckedBitPattern, NoUninit, PodCastError};
    use postcard::ser_flavors::Flavor;
    use serde::{Deserialize, Serialize};
    use zerocopy::{ConvertError, Immutable, IntoBytes, KnownLayout, TryFromBytes};

    use crate::message::{DecodeError, EncodeError};

    /// Lets `postcard` append to a vector, a slice at a time.
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

    /// # Errors
    ///
    /// The value contains something that postcard cannot encode, such as a sequence of unknown length.
    #[inline]
    pub fn postcard_encode<T: Serialize + ?Sized>(value: &T, payload: &mut Vec<u8>) -> Result<(), EncodeError> {
        postcard::serialize_with_flavor(value, Append(payload)).map_err(EncodeError::Postcard)
    }

    /// # Errors
    ///
    /// The payload is not one value and no more.
    #[inline]
    pub fn postcard_decode<'de, T: Deserialize<'de>>(payload: &'de [u8]) -> Result<T, DecodeError> {
        let (value, rest) = postcard::take_from_bytes(payload).map_err(DecodeError::Postcard)?;
        if rest.is_empty() { Ok(value) } else { Err(DecodeError::TrailingBytes { left: rest.len() }) }
    }

    /// # Errors
    ///
    /// None: every value has bytes.
    #[inline]
    pub fn zerocopy_encode<T: IntoBytes + Immutable + ?Sized>(
        value: &T,
        payload: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        payload.extend_from_slice(value.as_bytes());
        Ok(())
    }

    /// The value's own bytes.
    #[inline]
    pub fn zerocopy_bytes<T: IntoBytes + Immutable>(value: &T) -> &[u8] {
        value.as_bytes()
    }

    /// # Errors
    ///
    /// The payload is not as long as the value, or not a valid one.
    #[inline]
    pub fn zerocopy_decode<T: TryFromBytes>(payload: &[u8]) -> Result<T, DecodeError> {
        check_len::<T>(payload)?;
        T::try_read_from_bytes(payload).map_err(|_| DecodeError::Invalid)
    }

    /// # Errors
    ///
    /// None: every value has bytes.
    #[inline]
    pub fn bytemuck_encode<T: NoUninit>(value: &T, payload: &mut Vec<u8>) -> Result<(), EncodeError> {
        payload.extend_from_slice(bytemuck::bytes_of(value));
        Ok(())
    }

    /// The value's own bytes.
    #[inline]
    pub fn bytemuck_bytes<T: NoUninit>(value: &T) -> &[u8] {
        bytemuck::bytes_of(value)
    }

    /// # Errors
    ///
    /// The payload is not as long as the value, or not a valid one.
    #[inline]
    pub fn bytemuck_decode<T: CheckedBitPattern>(payload: &[u8]) -> Result<T, DecodeError> {
        check_len::<T>(payload)?;
        bytemuck::checked::try_pod_read_unaligned(payload).map_err(|_| DecodeError::Invalid)
    }

    /// # Errors
    ///
    /// The payload is not as long as the value, not a valid one, or lies where none can.
    #[inline]
    pub fn zerocopy_view<T: TryFromBytes + KnownLayout + Immutable>(payload: &[u8]) -> Result<&T, DecodeError> {
        check_len::<T>(payload)?;
        T::try_ref_from_bytes(payload).map_err(|error| refused::<T, _, _, _>(&error))
    }

    /// # Errors
    ///
    /// As [`zerocopy_view`].
    #[inline]
    pub fn zerocopy_view_mut<T: TryFromBytes + IntoBytes + KnownLayout>(
        payload: &mut [u8],
    ) -> Result<&mut T, DecodeError> {
        check_len::<T>(payload)?;
        T::try_mut_from_bytes(payload).map_err(|error| refused::<T, _, _, _>(&error))
    }

    fn refused<T, A, S, V>(error: &ConvertError<A, S, V>) -> DecodeError {
        match error {
            ConvertError::Alignment(_) => DecodeError::Alignment { needed: align_of::<T>() },
            _ => DecodeError::Invalid,
        }
    }

    /// # Errors
    ///
    /// As [`zerocopy_view`].
    #[inline]
    pub fn bytemuck_view<T: CheckedBitPattern>(payload: &[u8]) -> Result<&T, DecodeError> {
        check_len::<T>(payload)?;
        bytemuck::checked::try_from_bytes(payload).map_err(refused_by_bytemuck::<T>)
    }

    /// # Errors
    ///
    /// As [`zerocopy_view`].
    #[inline]
    pub fn bytemuck_view_mut<T: CheckedBitPattern + NoUninit>(payload: &mut [u8]) -> Result<&mut T, DecodeError> {
        check_len::<T>(payload)?;
        bytemuck::checked::try_from_bytes_mut(payload).map_err(refused_by_bytemuck::<T>)
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
