// Package v20170312 stands in for Tencent Cloud's client, which the Go module proxies do not serve:
// just enough for flannel's backend for that cloud, never used here, to compile.
package v20170312

import "errors"

var errAbsent = errors.New("this flannel was built without Tencent Cloud's client")

// Client answers every call with the same error.
type Client struct{}

type Filter struct {
	Name   *string
	Values []*string
}

type Route struct {
	RouteId                         *uint64
	DestinationCidrBlock, GatewayId *string
	GatewayType, RouteType          *string
	Enabled                         *bool
}

type RouteTable struct {
	RouteTableId *string
	RouteSet     []*Route
}

type DescribeRouteTablesRequest struct{ Filters []*Filter }

type DescribeRouteTablesResponse struct {
	Response *struct{ RouteTableSet []*RouteTable }
}

// RoutesRequest creates or deletes routes.
type RoutesRequest struct {
	RouteTableId *string
	Routes       []*Route
}

func NewClientWithSecretId(id, key, region string) (*Client, error) { return &Client{}, nil }

func NewDescribeRouteTablesRequest() *DescribeRouteTablesRequest {
	return &DescribeRouteTablesRequest{}
}

func NewCreateRoutesRequest() *RoutesRequest { return &RoutesRequest{} }
func NewDeleteRoutesRequest() *RoutesRequest { return &RoutesRequest{} }

func (*Client) DescribeRouteTables(*DescribeRouteTablesRequest) (*DescribeRouteTablesResponse, error) {
	return nil, errAbsent
}

func (*Client) CreateRoutes(*RoutesRequest) (any, error) { return nil, errAbsent }
func (*Client) DeleteRoutes(*RoutesRequest) (any, error) { return nil, errAbsent }
