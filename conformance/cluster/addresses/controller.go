package main

import (
	"context"
	"errors"
	"log"
	"net/netip"
	"time"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
)

// retryAfter is how long a Service waits for an address to become free.
const retryAfter = time.Second

// controller keeps the address in the status of every Service of type LoadBalancer. One worker, so the pool needs no
// lock.
type controller struct {
	client   kubernetes.Interface
	factory  informers.SharedInformerFactory
	services listers.ServiceLister
	queue    workqueue.TypedRateLimitingInterface[string]
	pool     *pool
}

func newController(client kubernetes.Interface, pool *pool) *controller {
	factory := informers.NewSharedInformerFactory(client, 0)
	return &controller{
		client:   client,
		factory:  factory,
		services: factory.Core().V1().Services().Lister(),
		queue:    workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[string]()),
		pool:     pool,
	}
}

// run works until the context ends.
func (c *controller) run(ctx context.Context) error {
	defer c.queue.ShutDown()
	informer := c.factory.Core().V1().Services().Informer()
	c.factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return errors.New("the Services cannot be listed")
	}
	if err := c.adopt(); err != nil {
		return err
	}
	enqueue := func(object any) {
		if key, err := cache.DeletionHandlingMetaNamespaceKeyFunc(object); err == nil {
			c.queue.Add(key)
		}
	}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    enqueue,
		UpdateFunc: func(_, object any) { enqueue(object) },
		DeleteFunc: enqueue,
	})
	if err != nil {
		return err
	}
	go func() {
		<-ctx.Done()
		c.queue.ShutDown()
	}()
	for c.next(ctx) {
	}
	return nil
}

// adopt takes the addresses that Services have from an earlier run out of the pool, before anybody asks for one.
func (c *controller) adopt() error {
	services, err := c.services.List(labels.Everything())
	if err != nil {
		return err
	}
	for _, service := range services {
		if held := addressOf(service); isOurs(service) && held.IsValid() {
			if _, err := c.pool.take(service.Namespace+"/"+service.Name, held); err != nil {
				log.Printf("%s/%s: %v", service.Namespace, service.Name, err)
			}
		}
	}
	return nil
}

// next settles one Service; false once the queue is shut down.
func (c *controller) next(ctx context.Context) bool {
	key, shutdown := c.queue.Get()
	if shutdown {
		return false
	}
	defer c.queue.Done(key)
	err := c.settle(ctx, key)
	switch {
	case err == nil:
		c.queue.Forget(key)
	case apierrors.IsConflict(err):
		c.queue.AddRateLimited(key)
	default:
		log.Printf("%s: %v", key, err)
		c.queue.AddAfter(key, retryAfter)
	}
	return true
}

// settle makes the status of one Service say what it should.
func (c *controller) settle(ctx context.Context, key string) error {
	namespace, name, err := cache.SplitMetaNamespaceKey(key)
	if err != nil {
		return err
	}
	service, err := c.services.Services(namespace).Get(name)
	if apierrors.IsNotFound(err) {
		c.pool.release(key)
		return nil
	}
	if err != nil {
		return err
	}
	if !isOurs(service) {
		c.pool.release(key)
		if service.Spec.Type != core.ServiceTypeLoadBalancer && len(service.Status.LoadBalancer.Ingress) > 0 {
			return c.write(ctx, service, nil)
		}
		return nil
	}
	wanted, err := wantedBy(service)
	if err != nil {
		return err
	}
	address, err := c.pool.take(key, wanted)
	if err != nil {
		return err
	}
	if addressOf(service) == address {
		return nil
	}
	log.Printf("%s: %s", key, address)
	return c.write(ctx, service, []core.LoadBalancerIngress{{IP: address.String()}})
}

func (c *controller) write(ctx context.Context, service *core.Service, ingress []core.LoadBalancerIngress) error {
	changed := service.DeepCopy()
	changed.Status.LoadBalancer.Ingress = ingress
	_, err := c.client.CoreV1().Services(service.Namespace).UpdateStatus(ctx, changed, meta.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// isOurs says whether the Service waits for an address of the cluster's own load balancer, not of a named one.
func isOurs(service *core.Service) bool {
	return service.Spec.Type == core.ServiceTypeLoadBalancer && service.Spec.LoadBalancerClass == nil
}

// wantedBy is the address that the Service asks for; the zero value if it takes any.
func wantedBy(service *core.Service) (netip.Addr, error) {
	if service.Spec.LoadBalancerIP == "" {
		return netip.Addr{}, nil
	}
	return netip.ParseAddr(service.Spec.LoadBalancerIP)
}

// addressOf is the address in the Service's status; the zero value if there is none, or not exactly one.
func addressOf(service *core.Service) netip.Addr {
	if ingress := service.Status.LoadBalancer.Ingress; len(ingress) == 1 {
		if address, err := netip.ParseAddr(ingress[0].IP); err == nil {
			return address
		}
	}
	return netip.Addr{}
}
