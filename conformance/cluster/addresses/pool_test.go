package main

import (
	"net/netip"
	"testing"
)

func newTestPool(t *testing.T) *pool {
	t.Helper()
	p, err := newPool(netip.MustParseAddr("10.89.0.100"), netip.MustParseAddr("10.89.0.102"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func take(t *testing.T, p *pool, owner, wanted, expected string) {
	t.Helper()
	var address netip.Addr
	if wanted != "" {
		address = netip.MustParseAddr(wanted)
	}
	got, err := p.take(owner, address)
	if expected == "" {
		if err == nil {
			t.Errorf("%s got %s, want an error", owner, got)
		}
		return
	}
	if err != nil || got.String() != expected {
		t.Errorf("%s got %s, %v, want %s", owner, got, err, expected)
	}
}

func TestEachOwnerHasOneAddress(t *testing.T) {
	p := newTestPool(t)
	take(t, p, "a", "", "10.89.0.100")
	take(t, p, "b", "", "10.89.0.101")
	take(t, p, "a", "", "10.89.0.100")
	take(t, p, "c", "", "10.89.0.102")
	take(t, p, "d", "", "")
}

func TestAnAddressThatWasGivenBackIsUsedLast(t *testing.T) {
	p := newTestPool(t)
	take(t, p, "a", "", "10.89.0.100")
	p.release("a")
	p.release("nobody")
	take(t, p, "b", "", "10.89.0.101")
	take(t, p, "c", "", "10.89.0.102")
	take(t, p, "d", "", "10.89.0.100")
}

func TestAWantedAddressIsGivenIfItIsFree(t *testing.T) {
	p := newTestPool(t)
	take(t, p, "a", "10.89.0.101", "10.89.0.101")
	take(t, p, "b", "10.89.0.101", "")
	take(t, p, "b", "192.0.2.1", "")
	take(t, p, "a", "10.89.0.102", "10.89.0.102")
	take(t, p, "b", "10.89.0.101", "10.89.0.101")
}

func TestARangeHasAFirstAndALastAddress(t *testing.T) {
	for _, ends := range [][2]string{{"10.0.0.2", "10.0.0.1"}, {"10.0.0.1", "fd00::1"}} {
		if _, err := newPool(netip.MustParseAddr(ends[0]), netip.MustParseAddr(ends[1])); err == nil {
			t.Errorf("%v is taken for a range", ends)
		}
	}
}
