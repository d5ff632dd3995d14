//! The page at `/`: what this server is and where to go on.

use actix_web::HttpResponse;
use actix_web::http::header::ContentType;
use actix_web::mime;

use super::reply;

pub(super) fn home() -> HttpResponse {
    reply::page(ContentType::html(), include_str!("page.html"))
}

pub(super) fn style() -> HttpResponse {
    reply::page(ContentType(mime::TEXT_CSS_UTF_8), include_str!("page.css"))
}
