package main

import (
	"fmt"
	"net/netip"
)

// pool hands out the addresses of a range, each to one owner at a time. Addresses that were given back are used again
// only after all others, so that a client of the last owner does not meet the next one.
type pool struct {
	free   []netip.Addr
	owners map[netip.Addr]string
}

// newPool has every address from first to last, both included.
func newPool(first, last netip.Addr) (*pool, error) {
	if first.BitLen() != last.BitLen() || last.Less(first) {
		return nil, fmt.Errorf("%s to %s is no range of addresses", first, last)
	}
	p := &pool{owners: map[netip.Addr]string{}}
	for address := first; address.Compare(last) <= 0; address = address.Next() {
		p.free = append(p.free, address)
	}
	return p, nil
}

// take gives the owner one address: the wanted one if that is named, else the one it has, else the next free one. An
// error says why there is none.
func (p *pool) take(owner string, wanted netip.Addr) (netip.Addr, error) {
	if held, has := p.held(owner); has {
		if !wanted.IsValid() || wanted == held {
			return held, nil
		}
		p.release(owner)
	}
	at := 0
	if wanted.IsValid() {
		if other, taken := p.owners[wanted]; taken {
			return netip.Addr{}, fmt.Errorf("%s belongs to %s", wanted, other)
		}
		if at = p.indexOf(wanted); at < 0 {
			return netip.Addr{}, fmt.Errorf("%s is none of the addresses to give", wanted)
		}
	}
	if len(p.free) == 0 {
		return netip.Addr{}, fmt.Errorf("all %d addresses are taken", len(p.owners))
	}
	address := p.free[at]
	p.free = append(p.free[:at:at], p.free[at+1:]...)
	p.owners[address] = owner
	return address, nil
}

// release takes back what the owner has, if anything.
func (p *pool) release(owner string) {
	if address, has := p.held(owner); has {
		delete(p.owners, address)
		p.free = append(p.free, address)
	}
}

func (p *pool) held(owner string) (netip.Addr, bool) {
	for address, other := range p.owners {
		if other == owner {
			return address, true
		}
	}
	return netip.Addr{}, false
}

func (p *pool) indexOf(address netip.Addr) int {
	for at, candidate := range p.free {
		if candidate == address {
			return at
		}
	}
	return -1
}
