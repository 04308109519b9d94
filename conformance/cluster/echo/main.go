// Command echo answers every request with what it got, as JSON, and with who it is: a backend for tests.
package main

import (
	"encoding/json"
	"flag"
	"log"
	"net/http"
	"os"
	"time"
)

// answer is what the backend saw.
type answer struct {
	Service string      `json:"service"`
	Pod     string      `json:"pod"`
	Method  string      `json:"method"`
	Host    string      `json:"host"`
	Path    string      `json:"path"`
	Headers http.Header `json:"headers"`
}

func main() {
	address := flag.String("address", ":8080", "where to listen")
	service := flag.String("service", "", "the Service that it stands for")
	flag.Parse()
	server := &http.Server{
		Addr:              *address,
		Handler:           handler(*service, os.Getenv("HOSTNAME")),
		ReadHeaderTimeout: 10 * time.Second,
	}
	log.Fatal(server.ListenAndServe())
}

func handler(service, pod string) http.Handler {
	return http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		response.Header().Set("Content-Type", "application/json")
		seen := answer{service, pod, request.Method, request.Host, request.RequestURI, request.Header}
		if err := json.NewEncoder(response).Encode(seen); err != nil {
			log.Print(err)
		}
	})
}
