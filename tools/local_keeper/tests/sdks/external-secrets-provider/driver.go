// Command driver calls External Secrets' Keeper provider itself; see ../README.md.
package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	_ "unsafe" // for linkname

	esv1 "github.com/external-secrets/external-secrets/apis/externalsecrets/v1"
	"github.com/external-secrets/external-secrets/apis/externalsecrets/v1alpha1"
	esmeta "github.com/external-secrets/external-secrets/apis/meta/v1"
	"github.com/external-secrets/external-secrets/pkg/provider/keepersecurity"
	ksm "github.com/keeper-security/secrets-manager-go/core"
	"github.com/keeper-security/secrets-manager-go/core/logger"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kclient "sigs.k8s.io/controller-runtime/pkg/client"
)

// The SDK ignores serverPublicKey in configurations, so local Keeper's key is added to the SDK's table.
//
//go:linkname serverPublicKeys github.com/keeper-security/secrets-manager-go/core.keeperServerPublicKeys
var serverPublicKeys map[string]string

// The SDK removes the port from the host name in configurations, so the transport adds it again.
type withPort struct{ host string }

func (t withPort) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.URL.Host = t.host
	return http.DefaultTransport.RoundTrip(request)
}

// oneSecret is a Kubernetes API that has the Secret with the configuration. The provider asks for nothing else.
type oneSecret struct {
	kclient.Client
	config string
}

func (k oneSecret) Get(_ context.Context, _ kclient.ObjectKey, object kclient.Object, _ ...kclient.GetOption) error {
	object.(*corev1.Secret).Data = map[string][]byte{"config": []byte(k.config)}
	return nil
}

type driver struct {
	provider esv1.Provider
	store    *esv1.SecretStore
	client   esv1.SecretsClient
	people   *ksm.SecretsManager // finds UIDs, as a person copies them from Keeper
}

func (d driver) uid(title string) (string, error) {
	records, err := d.people.GetSecretsByTitle(title)
	if err != nil {
		return "", err
	}
	if len(records) != 1 {
		return "", fmt.Errorf("%d records have this title", len(records))
	}
	return records[0].Uid, nil
}

func (d driver) do(operation string, args []string) (string, error) {
	ctx := context.Background()
	switch operation {
	case "validate":
		_, err := d.provider.ValidateStore(d.store)
		return "ok", err
	case "get", "properties":
		uid, err := d.uid(args[0])
		if err != nil {
			return "", err
		}
		wanted := esv1.ExternalSecretDataRemoteRef{Key: uid}
		if operation == "properties" {
			found, err := d.client.GetSecretMap(ctx, wanted)
			return names(found), err
		}
		wanted.Property = args[1]
		value, err := d.client.GetSecret(ctx, wanted)
		return strings.TrimRight(string(value), "\n"), err
	case "unknown":
		_, err := d.client.GetSecret(ctx, esv1.ExternalSecretDataRemoteRef{Key: args[0], Property: args[1]})
		return "", err
	case "find":
		found, err := d.client.GetAllSecrets(ctx, esv1.ExternalSecretFind{Name: &esv1.FindName{RegExp: args[0]}})
		return names(found), err
	case "push":
		secret := &corev1.Secret{Data: map[string][]byte{"key": []byte(args[1])}}
		match := v1alpha1.PushSecretMatch{SecretKey: "key", RemoteRef: v1alpha1.PushSecretRemoteRef{RemoteKey: args[0]}}
		return "ok", d.client.PushSecret(ctx, secret, v1alpha1.PushSecretData{Match: match})
	case "delete":
		return "ok", d.client.DeleteSecret(ctx, v1alpha1.PushSecretRemoteRef{RemoteKey: args[0]})
	}
	return "", errors.New("unknown operation")
}

func names(of map[string][]byte) string {
	return strings.Join(slices.Sorted(maps.Keys(of)), ", ")
}

// exported returns the content of the SDK's storage in memory as the JSON of a configuration.
func exported(storage any) ([]byte, error) {
	whole, err := json.Marshal(storage)
	if err != nil {
		return nil, err
	}
	var content struct{ Config json.RawMessage }
	err = json.Unmarshal(whole, &content)
	return content.Config, err
}

func main() {
	logger.SetOutput(io.Discard) // the SDK logs to standard output
	encoded := os.Getenv("KSM_CONFIG")
	os.Unsetenv("KSM_CONFIG") // the provider's process has none; its configuration comes from a Kubernetes Secret
	config := map[string]string{}
	decoded, err := base64.StdEncoding.DecodeString(encoded)
	if err == nil {
		err = json.Unmarshal(decoded, &config)
	}
	if err != nil {
		panic(err)
	}
	serverPublicKeys[config["serverPublicKeyId"]] = config["serverPublicKey"]
	http.DefaultClient.Transport = withPort{config["hostname"]}
	people := ksm.NewSecretsManager(&ksm.ClientOptions{Config: ksm.NewMemoryKeyValueStorage(encoded), LogLevel: logger.ErrorLevel})
	if _, bound := config["clientKey"]; bound {
		// A one-time token binds one client, so the provider gets the configuration that it is exchanged for.
		if _, err := people.GetSecrets([]string{}); err != nil {
			panic(err)
		}
		exchanged, err := exported(people.Config)
		if err != nil {
			panic(err)
		}
		encoded = base64.StdEncoding.EncodeToString(exchanged)
	}
	store := &esv1.SecretStore{ObjectMeta: metav1.ObjectMeta{Name: "keeper", Namespace: "shop"}}
	store.Spec.Provider = &esv1.SecretStoreProvider{KeeperSecurity: &esv1.KeeperSecurityProvider{
		Auth:     esmeta.SecretKeySelector{Name: "keeper-credentials", Key: "config"},
		FolderID: os.Getenv("FOLDER"),
	}}
	provider := &keepersecurity.Provider{}
	client, err := provider.NewClient(context.Background(), store, oneSecret{config: encoded}, "shop")
	if err != nil {
		panic(err)
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		args := strings.Split(lines.Text(), "\t")
		result, err := driver{provider, store, client, people}.do(args[0], args[1:])
		if err != nil {
			result = "error\t" + strings.ReplaceAll(err.Error(), "\n", " ")
		}
		fmt.Println(result)
	}
}
