//! Pagination with a token.

use crate::error::AwsError;

/// Returns one page of a list, and the token of the next page. A token is the index of the first item of its page.
///
/// # Errors
/// `InvalidNextToken` for a token that this function did not return.
pub fn page<T>(items: Vec<T>, limit: usize, token: Option<&str>) -> Result<(Vec<T>, Option<String>), AwsError> {
    let from: usize = match token {
        None => 0,
        Some(token) => token
            .parse()
            .ok()
            .ok_or_else(|| AwsError::new("InvalidNextToken", "The next token was not issued by this endpoint."))?,
    };
    let next = (from + limit < items.len()).then(|| (from + limit).to_string());
    Ok((items.into_iter().skip(from).take(limit).collect(), next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_continues_after_the_last_item_of_its_page() {
        let (first, token) = page(vec![1, 2, 3], 2, None).unwrap();
        assert_eq!((first, token.as_deref()), (vec![1, 2], Some("2")));
        assert_eq!(page(vec![1, 2, 3], 2, token.as_deref()).unwrap(), (vec![3], None));
        assert!(page(vec![1], 2, Some("else")).is_err());
    }
}
