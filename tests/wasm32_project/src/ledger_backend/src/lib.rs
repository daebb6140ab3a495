//! Accounts by principal, in stable memory throughout.

use candid::{CandidType, Principal};
use ic_stable_structures::memory_manager::{MemoryId, MemoryManager, VirtualMemory};
use ic_stable_structures::{DefaultMemoryImpl, StableBTreeMap};
use std::cell::RefCell;

type Accounts = StableBTreeMap<Principal, u64, VirtualMemory<DefaultMemoryImpl>>;

thread_local! {
    static MEMORY: MemoryManager<DefaultMemoryImpl> = MemoryManager::init(DefaultMemoryImpl::default());
    static ACCOUNTS: RefCell<Accounts> =
        RefCell::new(MEMORY.with(|memory| Accounts::init(memory.get(MemoryId::new(0)))));
}

#[derive(CandidType, Debug, PartialEq)]
enum Refusal {
    NothingToTransfer,
    InsufficientFunds { balance: u64 },
}

fn credit(account: Principal, amount: u64) -> u64 {
    ACCOUNTS.with_borrow_mut(|accounts| {
        let balance = accounts.get(&account).unwrap_or_default() + amount;
        accounts.insert(account, balance);
        balance
    })
}

fn debit(account: Principal, amount: u64) -> Result<u64, Refusal> {
    ACCOUNTS.with_borrow_mut(|accounts| {
        let balance = accounts.get(&account).unwrap_or_default();
        let left = balance
            .checked_sub(amount)
            .ok_or(Refusal::InsufficientFunds { balance })?;
        accounts.insert(account, left);
        Ok(left)
    })
}

fn move_funds(from: Principal, to: Principal, amount: u64) -> Result<u64, Refusal> {
    if amount == 0 || from == to {
        return Err(Refusal::NothingToTransfer);
    }
    let left = debit(from, amount)?;
    credit(to, amount);
    Ok(left)
}

#[ic_cdk::query]
fn balance_of(account: Principal) -> u64 {
    ACCOUNTS.with_borrow(|accounts| accounts.get(&account).unwrap_or_default())
}

#[ic_cdk::query]
fn total() -> u64 {
    ACCOUNTS.with_borrow(|accounts| accounts.iter().map(|(_, balance)| balance).sum())
}

#[ic_cdk::update]
fn deposit(amount: u64) -> u64 {
    credit(ic_cdk::caller(), amount)
}

#[ic_cdk::update]
fn transfer(to: Principal, amount: u64) -> Result<u64, Refusal> {
    move_funds(ic_cdk::caller(), to, amount)
}

ic_cdk::export_candid!();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_gives_more_than_they_have() {
        let (ada, bob) = (Principal::anonymous(), Principal::management_canister());
        credit(ada, 100);
        assert_eq!(move_funds(ada, bob, 30), Ok(70));
        assert_eq!(
            move_funds(ada, bob, 71),
            Err(Refusal::InsufficientFunds { balance: 70 })
        );
        assert_eq!(move_funds(ada, bob, 0), Err(Refusal::NothingToTransfer));
        assert_eq!((balance_of(ada), balance_of(bob), total()), (70, 30, 100));
    }
}
