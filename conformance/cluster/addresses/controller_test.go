package main

import (
	"context"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
)

func loadBalancer(name, wanted, held string) *core.Service {
	service := &core.Service{
		ObjectMeta: meta.ObjectMeta{Namespace: "default", Name: name},
		Spec:       core.ServiceSpec{Type: core.ServiceTypeLoadBalancer, LoadBalancerIP: wanted},
	}
	if held != "" {
		service.Status.LoadBalancer.Ingress = []core.LoadBalancerIngress{{IP: held}}
	}
	return service
}

// start runs a controller with three addresses until the test ends.
func start(t *testing.T, services ...*core.Service) kubernetes.Interface {
	t.Helper()
	client := fake.NewClientset()
	for _, service := range services {
		if err := client.Tracker().Add(service); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- newController(client, newTestPool(t)).run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return client
}

// expect waits until the Service has that address, or none for "".
func expect(t *testing.T, client kubernetes.Interface, name, address string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		service, err := client.CoreV1().Services("default").Get(context.Background(), name, meta.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		ingress := service.Status.LoadBalancer.Ingress
		if (address == "" && len(ingress) == 0) || (len(ingress) == 1 && ingress[0].IP == address) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s has %v, want %q", name, ingress, address)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestServicesGetAddressesAndKeepThem(t *testing.T) {
	client := start(t, loadBalancer("old", "", "10.89.0.101"), loadBalancer("wishes", "10.89.0.102", ""))
	expect(t, client, "old", "10.89.0.101")
	expect(t, client, "wishes", "10.89.0.102")
}

func TestAnAddressReturnsWithItsService(t *testing.T) {
	held := "10.89.0.100"
	client := start(t, loadBalancer("first", held, held), loadBalancer("second", held, ""))
	expect(t, client, "first", held)
	ctx, services := context.Background(), client.CoreV1().Services("default")
	changed := loadBalancer("first", "", held)
	changed.Spec.Type = core.ServiceTypeClusterIP
	if _, err := services.Update(ctx, changed, meta.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	expect(t, client, "first", "")
	expect(t, client, "second", held)
	if err := services.Delete(ctx, "second", meta.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	third := loadBalancer("third", held, "")
	if _, err := services.Create(ctx, third, meta.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	expect(t, client, "third", held)
}

func TestOtherServicesAreLeftAlone(t *testing.T) {
	class := "somebody.else/balancer"
	foreign := loadBalancer("foreign", "", "192.0.2.1")
	foreign.Spec.LoadBalancerClass = &class
	internal := loadBalancer("internal", "", "")
	internal.Spec.Type = core.ServiceTypeClusterIP
	client := start(t, foreign, internal, loadBalancer("ours", "", ""))
	expect(t, client, "ours", "10.89.0.100")
	expect(t, client, "foreign", "192.0.2.1")
	expect(t, client, "internal", "")
}
