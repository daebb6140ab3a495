//! Greets visitors in their own language and keeps the guest book.

use candid::{CandidType, Principal};
use ic_cdk::{post_upgrade, pre_upgrade, query, update};
use serde::Deserialize;
use std::cell::RefCell;
use std::collections::BTreeMap;

#[derive(CandidType, Clone, Copy, Default, Deserialize)]
enum Language {
    #[default]
    English,
    German,
    French,
}

#[derive(CandidType, Clone, Deserialize)]
struct Visit {
    number: u64,
    visitor: Principal,
    name: String,
    language: Language,
    time: u64,
}

thread_local! {
    static LANGUAGES: RefCell<BTreeMap<Principal, Language>> = RefCell::default();
    static VISITS: RefCell<Vec<Visit>> = RefCell::default();
}

fn language_of(visitor: Principal) -> Language {
    LANGUAGES.with_borrow(|languages| languages.get(&visitor).copied().unwrap_or_default())
}

#[query]
fn greet(name: String) -> String {
    match language_of(ic_cdk::caller()) {
        Language::English => format!("Hello, {name}!"),
        Language::German => format!("Hallo, {name}!"),
        Language::French => format!("Bonjour, {name} !"),
    }
}

#[query]
fn whoami() -> Principal {
    ic_cdk::caller()
}

#[update]
fn speak(language: Language) {
    LANGUAGES.with_borrow_mut(|languages| languages.insert(ic_cdk::caller(), language));
}

#[update]
fn sign(name: String) -> Visit {
    if name.is_empty() {
        ic_cdk::trap("A visitor without a name cannot sign.");
    }
    let visitor = ic_cdk::caller();
    VISITS.with_borrow_mut(|visits| {
        let visit = Visit {
            number: visits.len() as u64 + 1,
            visitor,
            name,
            language: language_of(visitor),
            time: ic_cdk::api::time(),
        };
        visits.push(visit.clone());
        visit
    })
}

#[query]
fn visits() -> Vec<Visit> {
    VISITS.with_borrow(|visits| visits.clone())
}

#[pre_upgrade]
fn save() {
    let state = (LANGUAGES.take(), VISITS.take());
    ic_cdk::storage::stable_save(state).expect("the guest book does not fit into stable memory");
}

#[post_upgrade]
fn restore() {
    let (languages, visits) =
        ic_cdk::storage::stable_restore().expect("stable memory holds no guest book");
    LANGUAGES.set(languages);
    VISITS.set(visits);
}

ic_cdk::export_candid!();
