// Package gatewayapi runs the conformance suite of the Gateway API, with upstream's own flags. `cargo xtask conformance`
// compiles and starts it.
package gatewayapi

import (
	"fmt"
	"testing"
	"time"

	"sigs.k8s.io/gateway-api/conformance"
	"sigs.k8s.io/gateway-api/conformance/tests"
	"sigs.k8s.io/gateway-api/conformance/utils/suite"
)

// TestConformance runs every test that the flags select. Go reports them all at the end, so each says here how it went.
func TestConformance(t *testing.T) {
	for i := range tests.ConformanceTests {
		announced(&tests.ConformanceTests[i])
	}
	conformance.RunConformance(t)
}

// announced has a test print a line once it is over: "conformance: NAME ok|FAILED|skipped SECONDS".
func announced(each *suite.ConformanceTest) {
	name, run := each.ShortName, each.Test
	each.Test = func(t *testing.T, s *suite.ConformanceTestSuite) {
		started := time.Now()
		t.Cleanup(func() {
			result := "ok"
			switch {
			case t.Failed():
				result = "FAILED"
			case t.Skipped():
				result = "skipped"
			}
			fmt.Printf("conformance: %s %s %.1f\n", name, result, time.Since(started).Seconds())
		})
		run(t, s)
	}
}
