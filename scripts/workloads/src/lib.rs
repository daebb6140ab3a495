//! The benchmark's canister. Each method returns the instructions of one kind of work, which scripts/bench.py describes.

use candid::{CandidType, Decode, Encode};
use ic_cdk::api::performance_counter;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::hint::black_box;

fn instructions<T>(work: impl FnOnce() -> T) -> u64 {
    let start = performance_counter(0);
    black_box(work());
    performance_counter(0) - start
}

/// Pseudorandom numbers by xorshift64, the same in each run.
fn random(count: usize) -> Vec<u64> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    std::iter::repeat_with(next).take(count).collect()
}

#[ic_cdk::update]
fn sort() -> u64 {
    let mut numbers = random(200_000);
    instructions(|| numbers.sort_unstable())
}

#[ic_cdk::update]
fn btree_map() -> u64 {
    let keys = random(100_000);
    instructions(|| {
        let map: BTreeMap<u64, usize> = keys.iter().copied().zip(0..).collect();
        keys.iter().map(|key| map[key]).sum::<usize>()
    })
}

#[ic_cdk::update]
fn hash_map() -> u64 {
    let keys = random(100_000);
    instructions(|| {
        let mut map = HashMap::new();
        for (value, key) in keys.iter().enumerate() {
            map.insert(*key, value);
        }
        keys.iter().map(|key| map[key]).sum::<usize>()
    })
}

#[ic_cdk::update]
fn dot_product() -> u64 {
    let [a, b] = [2, 3].map(|step| {
        (0..1_000_000)
            .map(|i| (i * step) as f32)
            .collect::<Vec<_>>()
    });
    instructions(|| a.iter().zip(&b).map(|(a, b)| a * b).sum::<f32>())
}

#[ic_cdk::update]
fn integer_loop() -> u64 {
    let [a, b] = [2, 3].map(|step| (0..1_000_000).map(|i| i * step).collect::<Vec<u32>>());
    instructions(|| {
        let products = a.iter().zip(&b).map(|(a, b)| a.wrapping_mul(*b));
        products.fold(0, u32::wrapping_add)
    })
}

#[ic_cdk::update]
fn byte_search() -> u64 {
    let mut bytes = vec![0_u8; 10 << 20];
    *bytes.last_mut().unwrap() = 1;
    instructions(|| bytes.iter().position(|byte| *byte == 1))
}

#[ic_cdk::update]
fn format() -> u64 {
    let numbers = random(100_000);
    instructions(|| {
        let mut text = String::new();
        for number in &numbers {
            write!(text, "{}, ", number % 1_000_000).unwrap();
        }
        text
    })
}

#[derive(CandidType, Serialize, Deserialize)]
struct Record {
    id: u64,
    name: String,
    tags: Vec<String>,
    score: f64,
}

fn records() -> Vec<Record> {
    let record = |id| Record {
        id,
        name: format!("record {id}"),
        tags: vec!["tag".into()],
        score: id as f64,
    };
    (0..10_000).map(record).collect()
}

#[ic_cdk::update]
fn candid_encode() -> u64 {
    let records = records();
    instructions(|| Encode!(&records).unwrap())
}

#[ic_cdk::update]
fn candid_decode() -> u64 {
    let bytes = Encode!(&records()).unwrap();
    instructions(|| Decode!(&bytes, Vec<Record>).unwrap())
}

#[ic_cdk::update]
fn sha256() -> u64 {
    let bytes = vec![7_u8; 1 << 20];
    instructions(|| Sha256::digest(&bytes))
}

#[ic_cdk::update]
fn greet() -> u64 {
    let argument = Encode!(&"ICP").unwrap();
    instructions(|| {
        let name = Decode!(&argument, String).unwrap();
        Encode!(&format!(
            "Hello, {name}! Powered by {}",
            std::env::consts::ARCH
        ))
        .unwrap()
    })
}
